//! Guesses that race, vote, commit themselves and are saved, in a real Chromium,
//! on models small enough to be quick.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape};
use hrm_core::reason::Recording;
use hrm_core::reason::commit::Commitment;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, open, puzzle, with_page};

#[tokio::test]
async fn guesses_race_and_vote() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=guesses").await?;
        rooms.choose("#guess-count", "6").await?;
        rooms.press("#vary-lines").await?;
        rooms.press("#race").await?;
        rooms.has(".runner", 6).await?;
        page.says("#race-status", "It took").await?;
        assert!(rooms.count(".runner.solved").await? > 0);
        // Mapped back, most votes are for the solution.
        let script = "return [...document.querySelectorAll('#votes .mini-fixed, #votes .mini-digit')]\
            .map(t => [t.getAttribute('x') / 10 - 0.5, (t.getAttribute('y') - 2.6) / 10 - 0.5, t.textContent])";
        let votes = page.script(script).await?;
        let votes = votes.as_array().context("no votes")?;
        let right = votes
            .iter()
            .filter(|vote| {
                let at = |i: usize| vote[i].as_f64().unwrap_or(-1.0).round() as usize;
                let digit = vote[2].as_str().and_then(|text| text.parse::<u8>().ok());
                digit == Some(answer.cells()[at(1) * 4 + at(0)])
            })
            .count();
        assert!(right > 8, "{right} of {} votes are right", votes.len());
        rooms.has("#rules tbody tr", 7).await?;
        let rules = rooms.text("#rules").await?;
        assert!(rules.contains("First that the rules verifyguess") || rules.contains("✓"), "{rules}");
        // A race is given up when another begins, and stops when asked to.
        rooms.press("#stop-first").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "guesses are solved").await?;
        assert!(rooms.count(".runner.solved").await? > 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn guesses_that_commit_go_on_until_one_is_verified() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // So hard that no guess has it before the first digit is written.
        let question: Board =
            "..92...6..4.......63..5...49..3.57....419..2.........68.5..1..3.1...74......3...."
                .parse()?;
        let link = "&guesses=4,d,0&speed=Full";
        let (page, rooms) = open(server, browser, "compact-9x9-extreme", &question, link).await?;
        // A plain run fails, and says what else can be tried.
        assert_eq!(rooms.count("#aloud").await?, 0);
        rooms.press("#play").await?;
        page.ended().await?;
        rooms.press("#aloud").await?;
        page.until(
            "the box of commitment ticked",
            "return document.querySelector('#commit')?.checked",
        )
        .await?;
        page.says("#race-status", "It took").await?;
        assert_eq!(
            rooms.count(".runner.solved").await?,
            1,
            "it ends with the first"
        );
        assert!(
            rooms.count(".mini-own:not([d=''])").await? > 0,
            "what is written is shown"
        );

        page.catch_files().await?;
        rooms.press(".save-runs").await?;
        let saved = <Recording>::from_json(&page.saved().await?.1)?;
        let batch = saved.batch.context("no batch")?;
        assert!(batch.items.iter().all(|item| item.commits));
        let reports = saved.events.iter().filter_map(|event| match event {
            Event::Lab {
                event: LabEvent::Batch { reports, .. },
            } => Some(reports),
            _ => None,
        });
        let how = Commitment::default();
        // Of each run the first segment of its life and what it has written.
        let mut lives: BTreeMap<usize, (usize, Vec<usize>)> = BTreeMap::new();
        let mut written = 0;
        for (run, report) in reports.flatten() {
            let (born, before) = lives.entry(*run).or_insert((report.segment, Vec::new()));
            let now = &report.committed;
            if now.is_empty() && !before.is_empty() {
                (*born, *before) = (report.segment, Vec::new());
            }
            let age = report.segment - *born;
            let told = format!("run {run}, segment {age} of its life: {before:?}, {report:?}");
            assert!(age < how.life, "{told}");
            assert!(before.iter().all(|cell| now.contains(cell)), "{told}");
            assert!(age.is_multiple_of(how.period) || now == before, "{told}");
            assert!(now.iter().all(|&cell| question.get(cell) == Some(0)));
            written = written.max(now.len());
            before.clone_from(now);
        }
        assert!(written > 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn noise_at_every_update_makes_guesses_differ() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 3)?;
        let link = "&room=guesses&guesses=3,,0.1";
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, link).await?;
        rooms.press("#noise-updates").await?;
        let mut races = Vec::new();
        for _ in 0..2 {
            rooms.press("#race").await?;
            page.says("#race-status", "It took").await?;
            page.catch_files().await?;
            rooms.press(".save-runs").await?;
            let saved = <Recording>::from_json(&page.saved().await?.1)?;
            let batch = saved.batch.context("no batch")?;
            let noises = batch.items.iter().map(|i| (i.noise, i.update_noise));
            let noises: Vec<_> = noises.collect();
            assert_eq!(noises, [(0.0, 0.0), (0.0, 0.1), (0.0, 0.1)]);
            // How far each run moved in its first segment.
            let mut moved = [0.0; 3];
            for event in &saved.events {
                if let Event::Lab {
                    event: LabEvent::Batch { reports, .. },
                } = event
                {
                    for (run, report) in reports.iter().filter(|(_, r)| r.segment == 1) {
                        moved[*run] = report.residual;
                    }
                }
            }
            races.push(moved);
        }
        let [quiet, second, third] = races[0];
        assert!(quiet != second && second != third, "{races:?}");
        assert_eq!(races[0], races[1], "the same seed");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn other_networks_guess_too_and_seeds_repeat() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Extreme, 4)?;
        let link = "&room=guesses&guesses=4,dlm,1,77";
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, link).await?;
        let boards = "return [...document.querySelectorAll('.runner svg')].map(s => s.textContent)";
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        rooms.has(".runner .network", 3).await?;
        assert!(rooms.text(".runner .network").await?.contains("Relational"));
        let first = page.script(boards).await?;
        // The address has everything that a race depends on.
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        assert_eq!(page.script(boards).await?, first, "{address}");
        rooms.choose("#guess-seed", "78").await?;
        page.until(
            "the seed in the address",
            "return location.hash.includes('guesses=4,dlm,1,78')",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn batches_are_saved_and_played_again() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Easy, 3)?;
        let link = "&room=guesses&guesses=4,d,0.3";
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, link).await?;
        let boards = "return [...document.querySelectorAll('.runner svg')].map(s => s.textContent)";
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        let (status, seen) = (
            rooms.text("#race-status").await?,
            page.script(boards).await?,
        );
        page.catch_files().await?;
        rooms.press(".save-runs").await?;
        let (name, race) = page.saved().await?;
        assert_eq!(name, "hrm-runs-hrm-4x4.json");
        let saved = <Recording>::from_json(&race)?;
        let batch = saved.batch.context("no batch")?;
        assert_eq!((batch.experiment, batch.items.len()), (None, 4));
        assert!(batch.items[1].symmetry.is_some() && batch.items[1].noise == 0.3);

        rooms.open("experiments").await?;
        rooms.press("#experiment-one-blank").await?;
        page.says("#experiment-status", "interval").await?;
        let share = rooms.text("#experiment-status").await?;
        page.catch_files().await?;
        rooms.press(".save-runs").await?;
        let (_, trial) = page.saved().await?;
        let batch = <Recording>::from_json(&trial)?.batch.context("no batch")?;
        assert_eq!(
            (batch.experiment.as_deref(), batch.items.len()),
            (Some("one-blank"), 16)
        );

        // On a page that has another puzzle and has run nothing.
        let other = format!(
            "{}#model=hrm-4x4&puzzle=1...............&speed=Full",
            server.url()
        );
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &other).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        page.drop_file("runs.json", &race).await?;
        page.says("#race-status", &status).await?;
        assert_eq!(page.script(boards).await?, seen);
        page.drop_file("runs.json", &trial).await?;
        page.says("#experiment-status", &share).await?;
        page.drop_file("runs.json", &race.replace(",[3,{", ",[4,{"))
            .await?;
        page.says(".notice", "there is no run 4").await?;
        // Runs of one experiment that call themselves another's are shown as
        // far as they go.
        page.drop_file("runs.json", &trial.replace("\"one-blank\"", "\"noise\""))
            .await?;
        page.until(
            "the other experiment",
            "return document.querySelector('#experiment-noise')?.getAttribute('aria-pressed') === 'true'",
        )
        .await?;
        page.drop_file("runs.json", &trial).await?;
        page.says("#experiment-status", &share).await?;
        // What was read is saved as it was read.
        page.catch_files().await?;
        rooms.press(".save-runs").await?;
        assert_eq!(page.saved().await?.1, trial);
        Ok(())
    })
    .await
}
