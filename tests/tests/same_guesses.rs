//! Guesses that the page has run, run once more by the driver natively, as the
//! command line runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use hrm_core::config::ModelConfig;
use hrm_core::cpu::{Arithmetic, CpuModel};
use hrm_core::engine::Engine;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Board, Difficulty, Puzzle, Shape};
use hrm_core::reason::lab::{Item, LabEvent};
use hrm_core::reason::message::Event;
use hrm_core::reason::{Driver, Limits, Recording, SegmentReport, Stop, Team};
use hrm_core::weights::Weights;
use hrm_tests::browser::Graphics;
use hrm_tests::visit::{DESKTOP, open, puzzle, with_page};
use pollster::block_on;

/// A report of each run after each segment.
type Reports = BTreeMap<(usize, usize), SegmentReport>;

/// A shipped model as the page computes it on a CPU.
fn engine(model: &str, board: &Board) -> Result<Arc<dyn Engine>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(model);
    let config = ModelConfig::from_json(&fs::read_to_string(dir.join("config.json"))?)?;
    let plan = Plan::new(&config)?;
    let weights = Weights::from_safetensors(&plan, &fs::read(dir.join("model.safetensors"))?)?;
    let plan = if config.puzzle == board.kind() {
        plan
    } else {
        Plan::new(&config.on(board.kind().into()))?
    };
    let arithmetic = Arithmetic::suiting(&weights);
    Ok(Arc::new(CpuModel::with_arithmetic(
        Arc::new(plan),
        &weights,
        arithmetic,
    )))
}

/// The same guesses natively, so many segments of each.
fn natively(engine: Arc<dyn Engine>, items: Vec<Item>, segments: usize) -> Result<Reports> {
    let jobs = items.into_iter().enumerate();
    let jobs = jobs.map(|(index, item)| item.job(index));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    let mut driver = Driver::new(Limits {
        segments,
        stop: Stop::Depth,
    });
    driver.add(engine, 3, jobs.into_iter().map(Team::of_one));
    let mut reports = Reports::new();
    while let Some(step) = block_on(driver.step(&mut |_| None))? {
        for (guess, report) in step.reports {
            reports.insert((guess, report.segment), report);
        }
    }
    Ok(reports)
}

#[tokio::test]
async fn the_page_and_the_command_line_run_the_same_guesses() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (small, _) = puzzle(Shape::S4, Difficulty::Hard, 5)?;
        let (middle, _) = puzzle(Shape::S6, Difficulty::Extreme, 8)?;
        let hard: Board =
            "..92...6..4.......63..5...49..3.57....419..2.........68.5..1..3.1...74......3...."
                .parse()?;
        for (model, question, wishes) in [
            ("hrm-4x4", &small, "5,dtl,0.3"),
            ("relational", &middle, "4,c,0.5"),
            ("relational", &hard, "4,uc,0.1"),
        ] {
            let link = format!("&room=guesses&guesses={wishes}");
            let (page, rooms) = open(server, browser, model, question, &link).await?;
            rooms.press("#race").await?;
            page.says("#race-status", "It took").await?;
            page.catch_files().await?;
            rooms.press(".save-runs").await?;
            let saved = <Recording>::from_json(&page.saved().await?.1)?;
            let items = saved.batch.context("no batch")?.items;
            let mut told = Reports::new();
            for event in saved.events {
                if let Event::Lab {
                    event: LabEvent::Batch { reports, .. },
                } = event
                {
                    let reports = reports.into_iter();
                    told.extend(reports.map(|(run, report)| ((run, report.segment), report)));
                }
            }
            let segments = told.keys().map(|(_, segment)| *segment).max();
            let segments = segments.context("no report")?;
            let again = natively(engine(model, question)?, items, segments)?;
            ensure!(told.len() > 4, "{} reports", told.len());
            for ((run, segment), report) in &told {
                let other = again.get(&(*run, *segment));
                let other = other.with_context(|| format!("no run {run}, segment {segment}"))?;
                // Sums are in another order on another processor.
                let said = |r: &SegmentReport| (r.grid.clone(), r.committed.clone(), r.solved);
                assert_eq!(
                    said(report),
                    said(other),
                    "{model}, run {run}, segment {segment}"
                );
                let apart = (report.residual - other.residual).abs();
                assert!(
                    apart < 0.02,
                    "{model}, run {run}, segment {segment}: {apart}"
                );
            }
            browser.client.goto("about:blank").await?;
        }
        Ok(())
    })
    .await
}
