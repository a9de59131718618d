//! The room of training: each button, reload, storage refused, background,
//! export and import, and that a run is the same whatever happens to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hrm_tests::browser::Graphics;
use hrm_tests::server::Fault;
use hrm_tests::training::Training;
use hrm_tests::visit::{DESKTOP, with_page};
use hrm_train_room::archive;

/// A run of seconds.
const SMALL: &str = "relational-4x4,steps:200,batch:16,training:200,held-out:10";
/// One without an end to speak of.
const LONG: &str = "relational-4x4,steps:100000,batch:16,training:200,held-out:10";

#[tokio::test]
async fn every_button_does_what_it_says() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let room = Training::open(server, browser, LONG).await?;
        room.press("one-step").await?;
        room.steps(1).await?;
        room.says("sentence", "It rests").await?;
        room.press("one-step").await?;
        room.steps(2).await?;
        assert_eq!(room.step().await?, 2);
        room.press("train").await?;
        room.says("sentence", "It trains").await?;
        room.says("train", "Pause").await?;
        room.steps(20).await?;
        // Boards, curves and the heat map are there.
        room.rooms.has("#room .sample", 3).await?;
        room.page
            .until(
                "a curve",
                "return document.querySelector('#curves-run-a path.t-loss').getAttribute('d').length > 20",
            )
            .await?;
        room.says("story", "at a glance").await?;
        // Another room is opened; training goes on.
        room.rooms.open("guesses").await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        room.rooms.open("train").await?;
        let before = room.step().await?;
        room.steps(before + 10).await?;
        room.press("train").await?;
        room.says("train", "Train").await?;
        let rest = room.kept().await?;
        assert_eq!(room.step().await?, rest);
        // An earlier moment is looked at.
        room.rooms.choose("#time-run-a", "0").await?;
        room.page.says("#room .when", "after 0 steps").await?;
        room.press("measure").await?;
        room.says("measured", "of 500 new puzzles").await?;
        room.press("restart").await?;
        room.says("sentence", "An untrained network").await?;
        assert_eq!(room.step().await?, 0);
        // A second run beside it.
        room.rooms.press("#second-run").await?;
        room.rooms.has("#room .run", 2).await?;
        room.rooms.press("#train-run-b").await?;
        room.page.says("#sentence-run-b", "It trains").await?;
        room.page.says("#room .differs", "seed").await?;
        let hash = room.page.script("return location.hash").await?;
        ensure!(hash.as_str().is_some_and(|h| h.contains("seed:1")), "{hash}");
        room.rooms.press("#one-run").await?;
        room.rooms.has("#room .run", 1).await?;
        let complaints = browser.complaints().await?;
        assert!(complaints.is_empty(), "{complaints:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_reloaded_run_ends_like_one_that_is_not() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        for workers in [1, 2] {
            let room = Training::open(server, browser, SMALL).await?;
            let forget = "caches.delete('hrm-training')";
            room.page.promise(forget).await?;
            browser.client.refresh().await?;
            room.here().await?;
            room.rooms
                .choose("#workers-run-a", &workers.to_string())
                .await?;
            room.press("train").await?;
            let mut step = 0;
            for _ in 0..5 {
                room.says("train", "Pause").await?;
                room.steps(step + 6).await?;
                room.press("train").await?;
                step = room.kept().await?;
                browser.client.refresh().await?;
                room.here().await?;
                room.says("kept", &format!("Taken up at step {step}"))
                    .await?;
                room.press("train").await?;
            }
            room.says("sentence", "The run is over").await?;
            let reloaded = whole(&room).await?;

            room.press("restart").await?;
            room.says("sentence", "An untrained network").await?;
            room.press("train").await?;
            room.says("sentence", "The run is over").await?;
            let plain = whole(&room).await?;
            for name in ["model.safetensors", "optimizer.safetensors"] {
                assert_eq!(
                    file(&reloaded, name)?,
                    file(&plain, name)?,
                    "{name}, {workers}"
                );
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn storage_that_is_refused_is_said() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let full = "Cache.prototype.put = () => \
            Promise.reject(new DOMException('full', 'QuotaExceededError'));";
        server.spoil(Some(("train-worker_loader.js", Fault::Preceded(full))));
        let room = Training::open(server, browser, LONG).await?;
        room.press("train").await?;
        room.says("kept", "storage is full").await?;
        // Between the moment of the refusal and the next step the run goes on.
        let step = room.step().await?;
        room.steps(step + 5).await
    })
    .await
}

#[tokio::test]
async fn in_the_background_it_waits_unless_it_is_told_not_to() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let hide = |hidden: bool| {
            format!(
                "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
                 document.dispatchEvent(new Event('visibilitychange', {{ bubbles: true }}))"
            )
        };
        let room = Training::open(server, browser, LONG).await?;
        room.press("train").await?;
        room.says("train", "Pause").await?;
        room.steps(5).await?;
        room.page.script(&hide(true)).await?;
        room.says("sentence", "waits while this page is in the background").await?;
        // The step under way may still come.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let rest = room.step().await?;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(room.step().await?, rest);
        room.page.script(&hide(false)).await?;
        room.steps(rest + 5).await?;
        room.press("unseen").await?;
        room.page.script(&hide(true)).await?;
        let before = room.step().await?;
        room.steps(before + 5).await?;
        room.says("sentence", "It trains").await
    })
    .await
}

#[tokio::test]
async fn what_is_exported_goes_on_elsewhere_and_comes_back() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let settings = "relational-4x4,steps:120,batch:16,training:200,held-out:10";
        let room = Training::open(server, browser, settings).await?;
        room.press("train").await?;
        room.says("sentence", "The run is over").await?;
        room.press("measure").await?;
        room.says("measured", "of 500 new puzzles").await?;
        let said = room.rooms.text("#measured-run-a").await?;
        let files = whole(&room).await?;
        let folder = tempfile::tempdir()?;
        let run = folder.path().join("run/step-00000120");
        std::fs::create_dir_all(&run)?;
        for (name, content) in &files {
            std::fs::write(run.join(name), content)?;
        }

        // The command's accuracy is the page's.
        let held_out = run.join("held-out.csv");
        let text = hrm(&[
            "eval".as_ref(),
            "--json".as_ref(),
            "--device".as_ref(),
            "cpu".as_ref(),
            "--checkpoint".as_ref(),
            &run,
            "--data".as_ref(),
            &held_out,
        ])?;
        let right = said
            .split(" of 500")
            .next()
            .and_then(|s| s.rsplit(' ').next());
        let right = right.context("no number")?;
        let found: serde_json::Value = serde_json::from_str(&text)?;
        let found = &found["rules"][0][1];
        assert_eq!(found["n"], 500);
        assert_eq!(
            found["successes"].to_string(),
            right,
            "the page says {said:?}"
        );

        // It goes on with it.
        let out = folder.path().join("run");
        hrm(&[
            "train".as_ref(),
            "--steps".as_ref(),
            "125".as_ref(),
            "--device".as_ref(),
            "cpu".as_ref(),
            "--resume".as_ref(),
            &out,
        ])?;
        let further = out.join("step-00000125");
        ensure!(further.join("model.safetensors").is_file());

        // And the room goes on with what the command has made.
        let native: Vec<archive::File> = std::fs::read_dir(&further)?
            .flatten()
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                Ok((name, std::fs::read(entry.path())?))
            })
            .collect::<Result<_>>()?;
        let zip = folder.path().join("native.zip");
        std::fs::write(&zip, archive::pack(&native).map_err(anyhow::Error::msg)?)?;
        room.import(&zip).await?;
        room.says("kept", "Taken up at step 125").await?;
        room.press("one-step").await?;
        room.steps(126).await?;
        // A part of a run is refused by name.
        let alone = folder.path().join("model.safetensors");
        std::fs::write(&alone, &native[0].1)?;
        room.import(&alone).await?;
        room.says("note", "config.json is missing").await
    })
    .await
}

#[tokio::test]
async fn a_trained_network_plays_in_the_playground() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let room = Training::open(server, browser, SMALL).await?;
        room.page.loaded().await?;
        room.press("train").await?;
        room.says("sentence", "The run is over").await?;
        room.press("use").await?;
        room.page
            .until(
                "the network among the others",
                "return document.querySelector('#engine')?.dataset.model?.startsWith('imported-trained-relational-4x4') ?? false",
            )
            .await?;
        room.says("note", "among the networks").await
    })
    .await
}

/// The files of a run's archive.
async fn whole(room: &Training) -> Result<Vec<archive::File>> {
    room.catch_files().await?;
    let (name, bytes) = room.export().await?;
    ensure!(name.ends_with(".zip"), "{name}");
    archive::unpack(&bytes).map_err(anyhow::Error::msg)
}

fn file<'a>(files: &'a [archive::File], name: &str) -> Result<&'a [u8]> {
    let found = files.iter().find(|(known, _)| known == name);
    found
        .map(|(_, content)| content.as_slice())
        .with_context(|| format!("no {name}"))
}

/// Runs the command and returns what it prints.
fn hrm(args: &[&Path]) -> Result<String> {
    let hrm: PathBuf = std::env::var_os("HRM_BIN")
        .context("HRM_BIN is not set")?
        .into();
    let output = Command::new(hrm).args(args).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}{errors}");
    Ok(text)
}
