//! Guesses that several workers share, where the CPU computes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use hrm_core::puzzle::Board;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use hrm_core::reason::{Recording, SegmentReport};
use hrm_tests::browser::{Browser, Graphics};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::{Fault, Server};
use hrm_tests::visit::{DESKTOP, open, with_page};

/// What a worker is told of its machine.
const ONE: &str = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 1 });";
const FOUR: &str = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 });";
/// Here further workers don't start either.
const ALONE: &str = "Object.defineProperty(navigator, 'hardwareConcurrency', { value: 4 }); \
    if (self.name) throw new Error('not here');";

/// What a race tells of: for each message the runs that it is about, and the
/// report of each run after each segment.
#[derive(Debug, PartialEq)]
struct Told {
    messages: Vec<Vec<usize>>,
    reports: BTreeMap<(usize, usize), SegmentReport>,
    solved: u64,
}

/// Races guesses in a browser of its own, whose workers run that script first;
/// `None` where there is no browser.
async fn race(machine: &'static str, wishes: &str) -> Result<Option<Told>> {
    let mut told = None;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        server.spoil(Some(("worker_loader.js", Fault::Preceded(machine))));
        told = Some(race_in(server, browser, machine, wishes).await?);
        Ok(())
    })
    .await?;
    Ok(told)
}

async fn race_in(server: &Server, browser: &Browser, machine: &str, wishes: &str) -> Result<Told> {
    let question: Board =
        "..92...6..4.......63..5...49..3.57....419..2.........68.5..1..3.1...74......3...."
            .parse()?;
    let link = format!("&room=guesses&guesses={wishes}");
    let (page, rooms) = open(server, browser, "compact-9x9-extreme", &question, &link).await?;
    let threads = page.text("#engine").await?;
    assert_eq!(
        threads.contains("(3 for many guesses)"),
        machine != ONE,
        "{threads}"
    );
    page.catch_files().await?;
    let mut tries = 1;
    loop {
        let told = race_once(&page, &rooms).await?;
        // At first the further workers are only being started.
        if machine != FOUR || shares_are_told(&told) || tries == 10 {
            return Ok(told);
        }
        tries += 1;
    }
}

async fn race_once(page: &Playground, rooms: &Rooms) -> Result<Told> {
    rooms.press("#race").await?;
    rooms.has("#stop-race", 1).await?;
    rooms.has("#stop-race", 0).await?;
    page.says("#race-status", "It took").await?;
    rooms.press(".save-runs").await?;
    let saved = <Recording>::from_json(&page.saved().await?.1)?;
    let mut told = Told {
        messages: Vec::new(),
        reports: BTreeMap::new(),
        solved: rooms.count(".runner.solved").await?,
    };
    for event in saved.events {
        let Event::Lab {
            event: LabEvent::Batch { reports, .. },
        } = event
        else {
            continue;
        };
        told.messages
            .push(reports.iter().map(|(run, _)| *run).collect());
        for (run, report) in reports {
            let at = (run, report.segment);
            let known = told.reports.insert(at, report);
            assert!(known.is_none(), "told twice of run {run}, segment {}", at.1);
        }
    }
    Ok(told)
}

/// Whether three workers have told of their shares.
fn shares_are_told(told: &Told) -> bool {
    (0..3).all(|first| told_by_one(told, first))
}

/// Whether some worker has told of every third run, beginning with that one.
fn told_by_one(told: &Told, first: usize) -> bool {
    let of_it: BTreeSet<usize> = told
        .messages
        .iter()
        .filter(|runs| runs.len() > 1 && runs.iter().all(|run| run % 3 == first))
        .flatten()
        .copied()
        .collect();
    of_it.len() > 1
}

#[tokio::test]
async fn workers_share_guesses_and_agree_with_one() -> Result<()> {
    // Other digits, and noise.
    let wishes = "9,d,0.3";
    let Some(alone) = race(ONE, wishes).await? else {
        return Ok(());
    };
    assert_eq!(alone.reports.len(), 9 * 16);
    assert!(!(0..3).any(|first| told_by_one(&alone, first)));
    let shared = race(FOUR, wishes).await?.context("no race")?;
    let messages = &shared.messages;
    assert!(shares_are_told(&shared), "{messages:?}");
    assert_eq!(shared.reports, alone.reports);
    assert_eq!(shared.solved, alone.solved);

    // What further workers can't do, the first one does.
    let left = race(ALONE, wishes).await?.context("no race")?;
    assert_eq!(left.reports, alone.reports);
    Ok(())
}

#[tokio::test]
async fn what_one_worker_finds_ends_the_race_for_all() -> Result<()> {
    // Guesses that commit themselves, until one is verified.
    let wishes = "6,dc,0";
    let Some(alone) = race(ONE, wishes).await? else {
        return Ok(());
    };
    let shared = race(FOUR, wishes).await?.context("no race")?;
    assert_eq!([alone.solved, shared.solved], [1, 1]);
    let messages = &shared.messages;
    assert!(shares_are_told(&shared), "{messages:?}");
    // As far as both have come they are the same.
    let both: Vec<_> = alone
        .reports
        .iter()
        .filter_map(|(at, report)| Some((at, report, shared.reports.get(at)?)))
        .collect();
    assert!(both.len() > 10, "{}", both.len());
    for (at, alone, shared) in both {
        assert_eq!(alone, shared, "{at:?}");
    }
    let solved = shared.reports.values().filter(|report| report.solved);
    assert_eq!(solved.count(), 1);
    Ok(())
}
