//! `hrm train --report`: the curves of a run on one page.

mod chart;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hrm_core::reason::Proportion;
use serde_json::Value;

use self::chart::{Chart, Series, Unit, escape};
use super::saved;
use super::watch::METRICS;
use crate::checkpoint::write_atomically;

/// Name of the page within the run directory.
const PAGE: &str = "report.html";

/// Segments whose accuracy is drawn over the steps.
const SEGMENTS: [usize; 5] = [1, 2, 4, 8, 16];

/// Draws the measurements of a run directory; returns the page's path.
pub(crate) fn write(run: &Path) -> Result<PathBuf> {
    let path = run.join(METRICS);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (train, held_out) = measurements(&text);
    if train.is_empty() && held_out.is_empty() {
        bail!("{}: there is no measurement in it yet", path.display());
    }
    let config = saved::find(run)
        .ok()
        .and_then(|dir| fs::read_to_string(dir.join(saved::TRAIN_CONFIG)).ok());
    let title = run
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "run".to_owned());
    let page = page(&title, config.as_deref(), &train, &held_out);
    let path = run.join(PAGE);
    write_atomically(&path, page.as_bytes())?;
    Ok(path)
}

/// Training measurements and evaluations, each by ascending step. What a killed run
/// had measured beyond its last checkpoint is replaced by what its continuation
/// measured; a line cut short is skipped.
fn measurements(text: &str) -> (Vec<Value>, Vec<Value>) {
    let (mut train, mut held_out) = (Vec::new(), Vec::new());
    let step = |value: &Value| value["step"].as_u64();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let Some(now) = step(&value) else { continue };
        let list = match value["kind"].as_str() {
            Some("train") => &mut train,
            Some("held_out") => &mut held_out,
            _ => continue,
        };
        while list.last().and_then(step).is_some_and(|last| last >= now) {
            list.pop();
        }
        list.push(value);
    }
    (train, held_out)
}

fn page(title: &str, config: Option<&str>, train: &[Value], held_out: &[Value]) -> String {
    let mut body = String::new();
    for (name, value) in facts(train, held_out) {
        let _ = write!(
            body,
            "<div><dt>{name}</dt><dd>{}</dd></div>",
            escape(&value)
        );
    }
    let charts: String = charts(train, held_out)
        .iter()
        .map(Chart::svg)
        .filter(|svg| !svg.is_empty())
        .map(|svg| format!("<figure>{svg}</figure>\n"))
        .collect();
    let config = config.map_or_else(String::new, |text| {
        format!(
            "<details><summary>Configuration</summary><pre>{}</pre></details>\n",
            escape(text)
        )
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<dl>{body}</dl>\n\
         <main>\n{charts}</main>\n{config}</body>\n</html>\n",
        title = escape(title),
        style = include_str!("page.css"),
    )
}

/// The run in a few numbers.
fn facts(train: &[Value], held_out: &[Value]) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(last) = train.last().or(held_out.last()) {
        facts.push(("steps", last["step"].to_string()));
        if let Some(seconds) = last["seconds"].as_f64() {
            facts.push(("training time", super::watch::duration(seconds)));
        }
    }
    if let Some(last) = held_out.last() {
        let score = &last["score"];
        if let (Some(solved), Some(puzzles), Some(interval)) = (
            score["solved"].as_array().and_then(|s| s.last()),
            score["puzzles"].as_u64(),
            last["interval"].as_array(),
        ) {
            let end =
                |i: usize| 100.0 * interval.get(i).and_then(Value::as_f64).unwrap_or_default();
            let accuracy = 100.0 * last["accuracy"].as_f64().unwrap_or_default();
            facts.push((
                "held out",
                format!(
                    "{solved} of {puzzles} solved, {accuracy:.1} % (95 %: {:.1} to {:.1} %), step {}",
                    end(0),
                    end(1),
                    last["step"]
                ),
            ));
        }
    }
    let waits: Vec<f64> = train
        .iter()
        .filter_map(|v| v["data_wait"].as_f64())
        .collect();
    if !waits.is_empty() {
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        facts.push((
            "waiting for data",
            format!("{:.2} % of the time", 100.0 * mean),
        ));
    }
    facts
}

fn charts(train: &[Value], held_out: &[Value]) -> Vec<Chart> {
    let points = |values: &[Value], f: &dyn Fn(&Value) -> Option<f64>| -> Vec<(f64, f64)> {
        values
            .iter()
            .filter_map(|v| Some((v["step"].as_f64()?, f(v)?)))
            .collect()
    };
    let field = |name: &'static str| points(train, &move |v: &Value| v[name].as_f64());
    let over_steps = |title: &str, unit, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x: "step",
        unit,
        series,
    };
    let whole = Unit::Percent { whole: true };
    let part = Unit::Percent { whole: false };
    let solved_after = |segment: usize| {
        points(held_out, &move |v: &Value| {
            let score = &v["score"];
            Some(score["solved"].get(segment - 1)?.as_f64()? / score["puzzles"].as_f64()?)
        })
    };
    let ended_right = points(train, &|v: &Value| {
        let ended = v["finished"].as_f64()?;
        (ended > 0.0).then_some(v["finished_right"].as_f64()? / ended)
    });
    vec![
        over_steps(
            "Loss",
            Unit::Logarithm,
            vec![
                Series::new("total", field("loss")),
                Series::new("cells", field("cell_loss")),
                Series::new("halt", field("q_halt_loss")),
                Series::new("continue", field("q_continue_loss")),
            ],
        ),
        over_steps(
            "Training batches, right",
            whole,
            vec![
                Series::new("cells", field("cell_accuracy")),
                Series::new("grids", field("exact_accuracy")),
            ],
        ),
        over_steps(
            "Held out, solved after segment",
            whole,
            SEGMENTS
                .iter()
                .map(|&segment| Series::new(format!("{segment}:"), solved_after(segment)))
                .collect(),
        ),
        by_segment(held_out),
        over_steps(
            "Halting: right about it, and ended right",
            whole,
            vec![
                Series::new("q right", field("q_halt_accuracy")),
                Series::new("ended solved", ended_right),
            ],
        ),
        over_steps(
            "Halting: segments done, mean of the batch",
            Unit::Number,
            vec![Series::new("segments", field("segments"))],
        ),
        over_steps(
            "Learning rate, share of the full one",
            whole,
            vec![Series::new("rate", field("lr_factor"))],
        ),
        over_steps(
            "Throughput, steps a second",
            Unit::Number,
            vec![Series::new("steps/s", field("steps_per_second"))],
        ),
        over_steps(
            "Share of the time spent waiting for data",
            part,
            vec![Series::new("wait", field("data_wait"))],
        ),
    ]
}

/// Accuracy after each segment of the newest evaluation, with its intervals.
fn by_segment(held_out: &[Value]) -> Chart {
    let mut series = Series::new("solved", Vec::new());
    let mut title = "Held out, by segment".to_owned();
    if let Some(last) = held_out.last() {
        let puzzles = last["score"]["puzzles"].as_u64().unwrap_or_default() as usize;
        title += &format!(" (step {}, n = {puzzles}, 95 % intervals)", last["step"]);
        let solved = last["score"]["solved"].as_array();
        for (i, count) in solved.into_iter().flatten().enumerate() {
            let count = count.as_u64().unwrap_or_default() as usize;
            let share = Proportion::new(count, puzzles);
            series.points.push(((i + 1) as f64, share.value));
            series.intervals.push((share.low, share.high));
        }
    }
    Chart {
        title,
        x: "segment",
        unit: Unit::Percent { whole: true },
        series: vec![series],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(step: u64, loss: f64) -> String {
        json!({"kind": "train", "step": step, "seconds": 3.0 * step as f64, "loss": loss, "data_wait": 0.01})
            .to_string()
    }

    #[test]
    fn a_run_becomes_one_page_without_outside_parts() {
        let dir = tempfile::tempdir().unwrap();
        let missing = write(dir.path()).unwrap_err().to_string();
        assert!(missing.contains(METRICS), "{missing}");
        let held_out = json!({
            "kind": "held_out", "step": 20, "accuracy": 0.75, "interval": [0.3, 0.95],
            "score": {"puzzles": 4, "solved": [1, 3], "cells": 0.9, "q_accuracy": 1.0},
        });
        let lines = [
            line(10, 0.5),
            line(20, 0.25),
            held_out.to_string(),
            "{cut".to_owned(),
        ];
        fs::write(dir.path().join(METRICS), lines.join("\n")).unwrap();
        let page = fs::read_to_string(write(dir.path()).unwrap()).unwrap();
        for part in [
            "3 of 4 solved, 75.0 %",
            "1.00 % of the time",
            "<polyline",
            "prefers-color-scheme",
        ] {
            assert!(page.contains(part), "{part} is not in the page");
        }
        assert!(!page.contains("http") && !page.contains("NaN"));
        assert!(page.matches("<svg").count() >= 4);
    }

    #[test]
    fn a_continued_run_replaces_what_was_lost() {
        let text = [line(10, 1.0), line(20, 2.0), line(30, 3.0), line(20, 4.0)].join("\n");
        let (train, _) = measurements(&text);
        let losses: Vec<f64> = train.iter().filter_map(|v| v["loss"].as_f64()).collect();
        assert_eq!(losses, [1.0, 4.0]);
    }
}
