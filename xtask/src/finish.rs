//! The last touches on a built page: the first screen as plain HTML, and the
//! list of files that the service worker keeps.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// Stands in `index.html` where the board goes.
const BOARD: &str = "<div id=\"board\" class=\"board\"></div>";

/// Finishes the page in `dist`.
pub(crate) fn finish(dist: &Path) -> Result<()> {
    first_screen(dist)?;
    leave_training(dist)?;
    keep_offline(dist)
}

/// Takes out the states of training that lie beside the models: no visitor
/// needs them.
fn leave_training(dist: &Path) -> Result<()> {
    let models = dist.join("models");
    let folders = fs::read_dir(&models);
    let folders = folders.with_context(|| format!("cannot read {}", models.display()))?;
    for folder in folders.flatten() {
        let training = folder.path().join("training");
        if training.is_dir() {
            fs::remove_dir_all(&training)
                .with_context(|| format!("cannot remove {}", training.display()))?;
        }
    }
    Ok(())
}

/// Draws the recorded run's puzzle into the page, so that the first paint
/// shows a board and needs no program.
fn first_screen(dist: &Path) -> Result<()> {
    let recording = read(&dist.join("demo.json"))?;
    let recording: Value = serde_json::from_str(&recording).context("demo.json")?;
    let puzzle = recording["puzzle"]
        .as_str()
        .context("demo.json names no puzzle")?;
    let index = dist.join("index.html");
    let page = read(&index)?;
    ensure!(
        page.contains(BOARD),
        "index.html has no place for the board: `{BOARD}`"
    );
    let page = page.replace(BOARD, &board(puzzle)?);
    fs::write(&index, page).with_context(|| format!("cannot write {}", index.display()))
}

/// A 9x9 board as the page's program draws it before a run.
fn board(puzzle: &str) -> Result<String> {
    ensure!(
        puzzle.len() == 81 && puzzle.bytes().all(|b| b == b'.' || b.is_ascii_digit()),
        "the recorded puzzle is no line of 81 cells: {puzzle:?}"
    );
    let mut html = String::from(
        "<div id=\"board\" class=\"board\" role=\"grid\" aria-label=\"Sudoku, 9 by 9\">",
    );
    for (row, line) in puzzle.as_bytes().chunks(9).enumerate() {
        html.push_str("<div class=\"row\" role=\"row\">");
        for (column, &cell) in line.iter().enumerate() {
            let mut class = String::from("cell");
            let ends = |at: usize| at % 3 == 2 && at < 8;
            for (holds, name) in [
                (ends(row), " below"),
                (ends(column), " right"),
                (cell != b'.', " given"),
            ] {
                if holds {
                    class.push_str(name);
                }
            }
            let digit = Some(char::from(cell)).filter(|&c| c != '.');
            let said = digit.map_or_else(|| "empty".to_owned(), |d| format!("{d}, given"));
            let digit = digit.map(String::from).unwrap_or_default();
            // Writing to a string does not fail.
            let _ = write!(
                html,
                "<div class=\"{class}\" role=\"gridcell\" aria-label=\"Row {}, column {}: {said}\">{digit}</div>",
                row + 1,
                column + 1
            );
        }
        html.push_str("</div>");
    }
    html.push_str("</div>");
    Ok(html)
}

/// Tells the service worker which files make up this build. Weights are not
/// among them: the page keeps those that were used.
fn keep_offline(dist: &Path) -> Result<()> {
    let mut files = Vec::new();
    collect(dist, dist, &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    read(&dist.join("index.html"))?.hash(&mut hasher);
    let mut names = vec!["./".to_owned()];
    for file in &files {
        let name = file.to_string_lossy().replace('\\', "/");
        let content = fs::read(dist.join(file))?;
        (&name, content).hash(&mut hasher);
        names.push(name);
    }
    let path = dist.join("sw.js");
    let mut script = read(&path)?;
    for (from, to) in [
        (
            "const VERSION = \"dev\";",
            format!("const VERSION = \"{:016x}\";", hasher.finish()),
        ),
        (
            "const FILES = [];",
            format!("const FILES = {};", serde_json::to_string(&names)?),
        ),
    ] {
        ensure!(script.contains(from), "sw.js has no line `{from}`");
        script = script.replace(from, &to);
    }
    fs::write(&path, script).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether the service worker keeps a file from the start.
fn is_kept(name: &str) -> bool {
    // Only who brings a network of their own needs what reads it.
    if name.starts_with("import") {
        return false;
    }
    let weights = name.starts_with("models/") && !name.ends_with(".json");
    // The page itself is kept under its folder's name, and a service worker
    // that keeps itself is never replaced.
    !weights && name != "index.html" && name != "sw.js"
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(name) = path.strip_prefix(root)
            && is_kept(&name.to_string_lossy().replace('\\', "/"))
        {
            files.push(name.to_path_buf());
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_shows_the_puzzle() {
        let puzzle = format!("1.2{}", ".".repeat(78));
        let html = board(&puzzle).unwrap();
        assert_eq!(html.matches("role=\"gridcell\"").count(), 81);
        assert_eq!(html.matches(" given\" role=").count(), 2);
        assert!(html.contains("class=\"cell right given\" role=\"gridcell\" aria-label=\"Row 1, column 3: 2, given\">2<"));
        // Two lines of boxes end inside the board, in both directions.
        assert_eq!(html.matches(" below").count(), 18);
        assert_eq!(html.matches(" right").count(), 18);
        assert!(board("123").is_err());
    }

    #[test]
    fn a_build_is_finished_once_and_completely() {
        let dist = std::env::temp_dir().join(format!("xtask-finish-{}", std::process::id()));
        fs::create_dir_all(dist.join("models/m/training")).unwrap();
        let puzzle = ".".repeat(81);
        for (name, content) in [
            ("index.html", format!("<main>{BOARD}</main>")),
            ("demo.json", format!("{{\"puzzle\":\"{puzzle}\"}}")),
            (
                "sw.js",
                "const VERSION = \"dev\";\nconst FILES = [];".to_owned(),
            ),
            ("page.js", "1".to_owned()),
            ("import_bg.wasm", "read when it is wanted".to_owned()),
            ("models/m/manifest.json", "{}".to_owned()),
            ("models/m/model.safetensors", "weights".to_owned()),
        ] {
            fs::write(dist.join(name), content).unwrap();
        }
        finish(&dist).unwrap();
        assert!(!dist.join("models/m/training").exists());
        let script = read(&dist.join("sw.js")).unwrap();
        assert!(
            script.contains("[\"./\",\"demo.json\",\"models/m/manifest.json\",\"page.js\"]"),
            "{script}"
        );
        assert!(!script.contains("\"dev\""), "{script}");
        assert!(read(&dist.join("index.html")).unwrap().contains("gridcell"));
        let again = finish(&dist).unwrap_err().to_string();
        assert!(again.contains("no place for the board"), "{again}");
        fs::remove_dir_all(&dist).unwrap();
    }
}
