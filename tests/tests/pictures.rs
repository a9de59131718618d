//! The page's pictures against those of the command line: the same run in f32
//! on both sides.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use hrm_core::puzzle::{Board, Difficulty, Shape, generate};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::plane::{LISTEN, LatentPlane};
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, with_page};
use serde_json::Value;

/// Segments of the run.
const SEGMENTS: usize = 6;
/// E is told apart up to here.
const CLIP: u64 = 40;

/// The command, or `None` where its tests say that there is none.
fn hrm() -> Result<Option<PathBuf>> {
    match std::env::var_os("HRM_BIN").map(PathBuf::from) {
        Some(path) if path.is_file() => Ok(Some(path)),
        _ => {
            ensure!(
                std::env::var_os("HRM_REQUIRE_BROWSER").is_none(),
                "HRM_BIN, the command `hrm`, is not there"
            );
            println!("skipped: HRM_BIN, the command `hrm`, is not there");
            Ok(None)
        }
    }
}

fn call(hrm: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(hrm).args(arguments).output()?;
    ensure!(
        output.status.success(),
        "hrm {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// What the command finds out about a run.
struct Native {
    /// Coordinates after each H update, from the mean.
    trace: Vec<[f64; 2]>,
    /// E on the grid.
    conflicts: Vec<u64>,
}

/// A model that ships, with its values in f16, as a folder of models that the
/// page can load; both sides compute with them in f32.
fn dense_model(hrm: &Path, folder: &Path, id: &str) -> Result<()> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(id);
    let text = |path: &Path| path.display().to_string();
    std::fs::write(
        folder.join("index.json"),
        format!("{{\"models\":[{id:?}]}}"),
    )?;
    call(
        hrm,
        &[
            "export",
            "--checkpoint",
            &text(&shipped),
            "--quantize",
            "f16",
            "--title",
            "Dense",
            "--summary",
            "The same in f16.",
            &text(&folder.join(id)),
        ],
    )
}

fn native(hrm: &Path, folder: &Path, id: &str, puzzle: (&Board, &Board)) -> Result<Native> {
    let data = folder.join("puzzles.csv");
    let (question, answer) = puzzle;
    std::fs::write(
        &data,
        format!("source,question,answer,rating\na,{question},{answer},0\n"),
    )?;
    let analyze = |what: &str| -> Result<Value> {
        let output = folder.join(what);
        let text = |path: &Path| path.display().to_string();
        let (model, data, output) = (text(&folder.join(id)), text(&data), text(&output));
        let segments = SEGMENTS.to_string();
        let shared = ["--checkpoint", &model, "--data", &data, "--output", &output];
        let runs = ["--segments", &segments, "--starts", "1"];
        call(hrm, &[&["analyze", what], &shared[..], &runs].concat())?;
        let written = std::fs::read_to_string(format!("{output}.json"))?;
        Ok(serde_json::from_str(&written)?)
    };
    let trajectory = analyze("trajectory")?;
    let landscape = analyze("landscape")?;
    let samples = landscape["samples"].as_array().context("no samples")?;
    Ok(Native {
        trace: serde_json::from_value(trajectory["runs"][0]["coordinates"].clone())?,
        conflicts: samples
            .iter()
            .map(|sample| sample["conflicts"].as_u64().context("a gap"))
            .collect::<Result<_>>()?,
    })
}

/// Each coordinate as a share of its range.
fn shares(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let ends = [0, 1].map(|k| {
        let values = points.iter().map(|point| point[k]);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        (low, values.fold(f64::NEG_INFINITY, f64::max) - low)
    });
    let share = |point: &[f64; 2]| [0, 1].map(|k| (point[k] - ends[k].0) / ends[k].1);
    points.iter().map(share).collect()
}

/// The largest difference of coordinates, as a share of their range.
fn difference(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let (a, b) = (shares(a), shares(b));
    let pairs = a.as_flattened().iter().zip(b.as_flattened());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// How many squares of each colour there should be, lowest E first.
fn histogram(conflicts: &[u64]) -> Vec<usize> {
    let mut counts = vec![0; CLIP as usize + 1];
    for &e in conflicts {
        counts[e.min(CLIP) as usize] += 1;
    }
    counts.retain(|&count| count > 0);
    counts
}

async fn pictures_agree(graphics: Graphics, device: &str, id: &str, shape: Shape) -> Result<()> {
    let Some(hrm) = hrm()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    dense_model(&hrm, folder.path(), id)?;
    let generated = generate(4, &Difficulty::Extreme.options(shape))?;
    let (question, answer) = (generated.question, generated.answer);
    let native = native(&hrm, folder.path(), id, (&question, &answer))?;
    with_page(graphics, DESKTOP, async |server, browser| {
        server.replace("models", folder.path());
        server.spoil(Some(("boot.js", Fault::Preceded(LISTEN))));
        let url = format!("{}?device={device}#model={id}&puzzle={question}&room=latent", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let plane = LatentPlane::of(&page);
        plane.step(SEGMENTS).await?;
        page.until(
            "the whole trace",
            &format!("return document.querySelectorAll('#plane .stop').length === {}", native.trace.len()),
        )
        .await?;
        let told: Vec<[f64; 2]> = serde_json::from_value(plane.heard("plane").await?["tracks"][0]["points"].clone())?;
        let exact = difference(&told, &native.trace);
        let drawn = difference(&plane.drawn_trace().await?, &native.trace);

        plane.draw_landscape().await?;
        let map: Vec<u64> = serde_json::from_value(plane.heard("landscape").await?["map"]["values"].clone())?;
        assert_eq!(map.len(), native.conflicts.len());
        let equal = map.iter().zip(&native.conflicts).filter(|(a, b)| a == b).count();
        println!(
            "{id} on {device}: coordinates off by {exact:.1e} of their range as told, {drawn:.1e} as drawn; \
             E equal at {equal} of {} points",
            map.len()
        );
        assert!(exact < 1e-3, "told: {exact}");
        assert!(drawn < 1e-3, "drawn: {drawn}");
        assert!(100 * equal >= 99 * map.len(), "{equal} of {}", map.len());
        // And what is drawn is what was told.
        assert_eq!(plane.drawn_squares().await?, histogram(&map));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pictures_of_the_cpu_engine_agree_with_the_native_ones() -> Result<()> {
    pictures_agree(Graphics::None, "cpu", "hrm-6x6", Shape::S6).await
}

#[tokio::test]
async fn pictures_of_the_gpu_engine_agree_with_the_native_ones() -> Result<()> {
    pictures_agree(Graphics::Software, "gpu", "hrm-4x4", Shape::S4).await
}
