//! Mazes on the page, in a real Chromium: a network that plays them is brought, mazes
//! are drawn, pasted, linked to and made, and its route is told apart from the shortest.
//! The network answers with its question, so that what it marks is what a test gives it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hrm_core::puzzle::maze::Cell;
use hrm_core::puzzle::{Maze, MazeOptions, MazeSize, Puzzle, generate_maze};
use hrm_core::weights::{Manifest, Part};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::visit::{DESKTOP, PHONE, with_page};
use serde_json::json;
use tempfile::TempDir;

#[path = "../../core/tests/copier/mod.rs"]
mod copier;

/// The exported folder of a network that answers with its question.
fn network(side: usize) -> Result<(TempDir, Vec<PathBuf>)> {
    let size = MazeSize::of_side(side).context("no such size")?;
    let (plan, weights) = copier::copier(size);
    let content = weights.to_safetensors(&plan)?;
    let manifest = Manifest {
        id: "copier".to_owned(),
        title: "Copier of mazes".to_owned(),
        summary: "Answers with its question.".to_owned(),
        puzzle: size.into(),
        boards: vec![],
        sees_images_alike: false,
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts: vec![Part::of("model.safetensors", &content)],
    };
    let folder = tempfile::tempdir()?;
    let files = [
        ("manifest.json", serde_json::to_vec(&manifest)?),
        ("config.json", plan.config.to_json().into_bytes()),
        ("model.safetensors", content),
    ];
    let mut paths = Vec::new();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::write(&path, content)?;
        paths.push(path);
    }
    Ok((folder, paths))
}

/// The page with that network, which has a maze on its board.
async fn open(url: &str, client: &fantoccini::Client, side: usize) -> Result<(Playground, Rooms)> {
    let small = format!("{url}?device=cpu#model=hrm-4x4&puzzle=1.........4...2.");
    let (page, _) = Playground::open(client, &small).await?;
    page.loaded().await?;
    let (_folder, files) = network(side)?;
    page.drop_paths(&files).await?;
    page.until(
        "the network",
        "return (document.querySelector('#engine')?.dataset.model ?? '').startsWith('imported-copier')",
    )
    .await?;
    let shown = format!("return document.querySelector('svg#board')?.dataset.side === '{side}'");
    page.until("a maze", &shown).await?;
    let rooms = Rooms::of(&page);
    Ok((page, rooms))
}

/// The maze on the board as the page writes it.
async fn maze(page: &Playground) -> Result<Maze> {
    let text = page
        .script("return document.querySelector('#text').value")
        .await?;
    Ok(Maze::parse(text.as_str().context("no text")?, None)?)
}

/// Waits until the board has this maze.
async fn shows(page: &Playground, maze: &Maze) -> Result<()> {
    let text = json!(maze.to_grid_string());
    let script = format!("return document.querySelector('#text').value === {text}");
    page.until(&format!("the maze {maze}"), &script).await
}

/// Presses on the first of some cells, moves over the others, and lets go.
async fn stroke(page: &Playground, cells: &[usize]) -> Result<()> {
    let script = format!(
        "const board = document.querySelector('#board'), side = +board.dataset.side; \
         const {{ left, top, width }} = board.getBoundingClientRect(); \
         const at = i => left + width * ((i + 0.5) * 10 + 0.5) / (10 * side + 1); \
         const send = (kind, cell) => board.dispatchEvent(new PointerEvent(kind, {{ bubbles: true, \
           cancelable: true, button: 0, buttons: 1, pointerId: 1, isPrimary: true, \
           clientX: at(cell % side), clientY: at(Math.floor(cell / side)) - left + top }})); \
         const cells = {}; \
         send('pointerdown', cells[0]); \
         for (const cell of cells.slice(1)) send('pointermove', cell); \
         send('pointerup', cells.at(-1));",
        json!(cells)
    );
    page.script(&script).await.map(drop)
}

#[tokio::test]
async fn a_maze_is_drawn_run_and_told_of() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, rooms) = open(&server.url(), &browser.client, 12).await?;
        page.says("#lengths", "The shortest way has 26 steps.")
            .await?;

        // An open field, its ends put elsewhere, and a wall of one stroke.
        rooms.press("#clear").await?;
        page.says("#lengths", "The shortest way has 22 steps.")
            .await?;
        rooms.press("#tool-start").await?;
        stroke(&page, &[13]).await?;
        rooms.press("#tool-goal").await?;
        stroke(&page, &[16]).await?;
        rooms.press("#tool-wall").await?;
        stroke(&page, &[2, 38]).await?;
        let mut drawn = Maze::empty(MazeSize::of_side(12).context("a size")?);
        drawn.set(13, Cell::Start);
        drawn.set(16, Cell::Goal);
        for cell in [2, 14, 26, 38] {
            drawn.set(cell, Cell::Wall);
        }
        shows(&page, &drawn).await?;
        page.says("#lengths", "The shortest way has 9 steps.")
            .await?;

        // A stroke is taken back as one; keys draw too.
        page.script("document.querySelector('#board').focus()")
            .await?;
        rooms.key(&json!({"key": "z", "ctrlKey": true})).await?;
        page.says("#lengths", "The shortest way has 3 steps.")
            .await?;
        rooms.key(&json!({"key": "Home", "ctrlKey": true})).await?;
        rooms.key(&json!({"key": "w"})).await?;
        page.says("#maze-cell", "Row 1, column 1: wall").await?;
        assert_eq!(maze(&page).await?.cells()[0], Cell::Wall);

        // A press that looks changes nothing.
        rooms.press("#tool-look").await?;
        stroke(&page, &[30, 40]).await?;
        page.says("#maze-cell", "Row 3, column 7: way").await?;
        page.says("#lengths", "The shortest way has 3 steps.")
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn routes_are_told_apart_and_scrubbed_through() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, rooms) = open(&server.url(), &browser.client, 12).await?;
        rooms.choose("#speed", "3").await?;
        let size = MazeSize::of_side(12).context("a size")?;
        let (question, answer) = generate_maze(3, &MazeOptions::hard(size))?;
        let steps = question.distance().context("no way")?;

        // All of a shortest route is given, and kept.
        page.paste(&answer.to_grid_string()).await?;
        shows(&page, &answer).await?;
        page.click("#play").await?;
        page.ended().await?;
        let verdict = rooms.text("#verdict").await?;
        assert!(
            verdict.contains("Solved") && verdict.contains(&format!("{steps} steps")),
            "{verdict}"
        );
        page.says("#lengths", "so has the network’s").await?;

        // Nothing is: the network marks nothing.
        page.paste(&question.to_grid_string()).await?;
        shows(&page, &question).await?;
        page.click("#play").await?;
        page.ended().await?;
        let verdict = rooms.text("#verdict").await?;
        assert!(
            verdict.contains("no route leads from the start to the goal"),
            "{verdict}"
        );
        page.says("#lengths", "does not lead to the goal").await?;

        // A route with a cell too many.
        let beside = (0..question.size().cells()).find(|&cell| {
            let way = answer.cells()[cell] == Cell::Way;
            way && size.neighbours(cell).any(|n| answer.written().contains(&n))
        });
        let surplus = answer.marked(&[beside.context("no way beside the route")?]);
        page.paste(&surplus.to_grid_string()).await?;
        shows(&page, &surplus).await?;
        page.click("#play").await?;
        page.ended().await?;
        let verdict = rooms.text("#verdict").await?;
        assert!(
            verdict.contains("A route, but not the shortest"),
            "{verdict}"
        );
        assert!(
            verdict.contains("1 cell beside it is marked too"),
            "{verdict}"
        );

        // Earlier moments, the chart, what is known of a cell, and the picture.
        rooms.choose("#segment", "1").await?;
        page.says("#segment-text", "Segment 1 of 16").await?;
        let label = "return document.querySelector('#run-chart').getAttribute('aria-label')";
        page.until(
            "the chart",
            &format!("{label}.includes('after segment 1: conflicts ')"),
        )
        .await?;
        page.says("#cell-facts", " with ").await?;
        rooms.press(".as-picture summary").await?;
        rooms.has("#board-picture .maze-wall", 1).await?;
        rooms.has("#board .maze-line", 1).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn mazes_are_pasted_linked_to_and_made() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, rooms) = open(&server.url(), &browser.client, 12).await?;
        let size = MazeSize::of_side(12).context("a size")?;
        let (question, _) = generate_maze(5, &MazeOptions::hard(size))?;
        let text = question.to_grid_string();
        let drawn = text
            .replace('#', "█")
            .replace(' ', "·")
            .replace('S', "A")
            .replace('G', "B");
        page.paste(&drawn).await?;
        shows(&page, &question).await?;
        page.says(
            ".notice",
            "“█” as wall, “·” as way, “A” as start, “B” as goal",
        )
        .await?;

        // The link has signs that no address escapes, and leads back.
        page.until(
            "the link",
            "return /puzzle=[*SGo-]{144}(&|$)/.test(location.hash)",
        )
        .await?;
        let link = page.script("return location.href").await?;
        let link = link.as_str().context("no address")?.to_owned();
        page.script("document.querySelector('#blank').click()")
            .await?;
        page.until(
            "a Sudoku",
            "return document.querySelector('#cell-0') !== null",
        )
        .await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.loaded().await?;
        shows(&page, &question).await?;

        // New ones of a chosen length, and a Sudoku again with its own network.
        let hard = MazeOptions::hard(size).min_distance;
        rooms.choose("#size", "maze-12x12").await?;
        rooms.choose("#way-length", "long").await?;
        page.click("#generate").await?;
        let other = json!(text);
        page.until(
            "another maze",
            &format!("return document.querySelector('#text').value !== {other}"),
        )
        .await?;
        assert!(maze(&page).await?.distance().context("no way")? >= hard);
        page.paste("1.........4...2.").await?;
        page.until(
            "a Sudoku",
            "return document.querySelectorAll('#board .cell').length === 16",
        )
        .await?;
        page.loaded_model("relational").await
    })
    .await
}

#[tokio::test]
async fn an_example_that_is_clicked_at_once_is_shown_and_run() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // Before the program listens to the address.
        let url = format!("{}?device=cpu", server.url());
        browser.client.goto(&url).await?;
        let page = Playground::at(&browser.client);
        page.script("document.querySelector('#mazes a').click()")
            .await?;
        page.until(
            "a maze",
            "return document.querySelector('svg#board')?.dataset.side === '12'",
        )
        .await?;
        page.loaded_model("relational-maze").await?;
        page.says("#lengths", "The shortest way has 26 steps.")
            .await?;
        let rooms = Rooms::of(&page);
        rooms.choose("#speed", "3").await?;
        page.click("#play").await?;
        page.ended().await
    })
    .await
}

#[tokio::test]
async fn where_no_network_plays_mazes_the_page_says_so() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let models = tempfile::tempdir()?;
        let alone = models.path().join("hrm-4x4");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/hrm-4x4");
        fs::create_dir(&alone)?;
        for entry in fs::read_dir(shipped)? {
            let entry = entry?;
            fs::copy(entry.path(), alone.join(entry.file_name()))?;
        }
        let index = "{\"models\": [\"hrm-4x4\"]}";
        fs::write(models.path().join("index.json"), index)?;
        server.replace("models", models.path());

        // By a link, where another puzzle has to be shown.
        let link = format!("{}?device=cpu#puzzle=****-SG--****---", server.url());
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.loaded_model("hrm-4x4").await?;
        page.says(
            ".notice",
            "None of the networks here plays mazes of 4×4. Another puzzle is shown",
        )
        .await?;
        page.until(
            "a Sudoku",
            "return document.querySelectorAll('#board .cell').length === 16",
        )
        .await?;
        // By a text, where what is there stays.
        page.paste("1.........4...2.").await?;
        page.until(
            "no notice",
            "return document.querySelector('.notice').textContent === ''",
        )
        .await?;
        page.paste("###\n#SG\n###").await?;
        page.says(".notice", "None of the networks here plays mazes of 3×3.")
            .await?;
        assert_eq!(page.board().await?.len(), 16);

        // With one that is brought, mazes are shown; there is no other to compare it with.
        let (_folder, files) = network(12)?;
        page.drop_paths(&files).await?;
        page.until(
            "a maze",
            "return document.querySelector('svg#board')?.dataset.side === '12'",
        )
        .await?;
        let rooms = Rooms::of(&page);
        rooms.open("experiments").await?;
        rooms.press("#experiment-two-models").await?;
        page.says(".problem", "no second network for mazes").await
    })
    .await
}

#[tokio::test]
async fn rooms_work_on_mazes() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, rooms) = open(&server.url(), &browser.client, 12).await?;
        let size = MazeSize::of_side(12).context("a size")?;
        let (question, answer) = generate_maze(3, &MazeOptions::hard(size))?;
        // Nearly all of the route, so that its image is known by its marks.
        let given = answer.without(&answer.written()[..1]);
        page.paste(&given.to_grid_string()).await?;
        shows(&page, &given).await?;

        rooms.open("guesses").await?;
        rooms.has("#vary-turn", 1).await?;
        rooms.has("#vary-digits", 0).await?;
        rooms.choose("#guess-count", "4").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "0 of 4 guesses are solved")
            .await?;
        rooms.has("#race-boards .maze-wall", 4).await?;
        let shared = rooms.count("#votes .maze-share").await?;
        assert_eq!(
            shared as usize,
            given.route_cells(),
            "all say what was given"
        );
        page.says("#rules", "not solved").await?;

        rooms.open("latent").await?;
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press("#step").await?;
        page.segments(2).await?;
        page.until(
            "a track",
            "return document.querySelector('#plane .track, #plane path') !== null",
        )
        .await?;

        // What is to be marked is marked by nobody: one cell is missing in each.
        page.paste(&question.to_grid_string()).await?;
        shows(&page, &question).await?;
        rooms.open("experiments").await?;
        rooms.press("#experiment-one-blank").await?;
        let cells = answer.route_cells();
        page.says("#experiment-status", &format!("0 of {cells} solved"))
            .await?;
        page.says(
            ".lede",
            "A shortest route with one single cell left unmarked",
        )
        .await?;
        rooms.press("#experiment-hints").await?;
        page.says("#experiment-status", "1 of ").await?;
        // Beside the one that ships.
        rooms.press("#experiment-two-models").await?;
        rooms.has(".race.two .runner .maze-wall", 2).await?;
        page.says(".race.two", "in segment ").await
    })
    .await
}

#[tokio::test]
async fn a_maze_of_thirty_fits_a_phone() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let (page, rooms) = open(&server.url(), &browser.client, 30).await?;
        page.until(
            "a maze with walls",
            "return document.querySelector('#text').value.includes('#')",
        )
        .await?;
        let fits = "const b = document.querySelector('#board').getBoundingClientRect();\
             return b.left >= 0 && b.right <= innerWidth && b.width > 300 && \
             document.documentElement.scrollWidth <= innerWidth";
        page.until("the board on the screen", fits).await?;

        // A finger draws where a tool is chosen, and scrolls where none is.
        let action = "return getComputedStyle(document.querySelector('#board')).touchAction";
        assert_eq!(page.script(action).await?, json!("manipulation"));
        rooms.press("#tool-way").await?;
        page.until("a board to draw on", &format!("{action} === 'none'"))
            .await?;
        stroke(&page, &[0, 29]).await?;
        page.until(
            "a row of ways",
            "return !document.querySelector('#text').value.split('\\n')[0].includes('#')",
        )
        .await?;

        // Larger, it scrolls in its place and not the page.
        rooms.press("#larger").await?;
        let large = "const b = document.querySelector('#board').getBoundingClientRect();\
             return b.width > innerWidth && document.documentElement.scrollWidth <= innerWidth";
        page.until("a large board", large).await?;
        rooms.press("#larger").await?;
        rooms.choose("#speed", "3").await?;
        rooms.press("#play").await?;
        page.ended().await
    })
    .await
}
