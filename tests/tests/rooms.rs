//! Time, dynamics, pencil marks, guesses, latent space and experiments in a
//! real Chromium, on models small enough to be quick.

use anyhow::{Context, Result};
use hrm_core::puzzle::{Board, Difficulty, Shape, generate};
use hrm_core::reason::Recording;
use hrm_core::reason::lab::LabEvent;
use hrm_core::reason::message::Event;
use hrm_tests::browser::{Browser, Graphics};
use hrm_tests::page::Playground;
use hrm_tests::plane::LatentPlane;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Server;
use hrm_tests::visit::{DESKTOP, PHONE, with_page};
use serde_json::json;

/// Opens the page with a model and a puzzle, on the CPU.
async fn open(
    server: &Server,
    browser: &Browser,
    model: &str,
    puzzle: &Board,
    more: &str,
) -> Result<(Playground, Rooms)> {
    let url = format!(
        "{}?device=cpu#model={model}&puzzle={puzzle}{more}",
        server.url()
    );
    let (page, _) = Playground::open(&browser.client, &url).await?;
    page.loaded().await?;
    let rooms = Rooms::of(&page);
    Ok((page, rooms))
}

fn puzzle(shape: Shape, difficulty: Difficulty, seed: u64) -> Result<(Board, Board)> {
    let generated = generate(seed, &difficulty.options(shape))?;
    Ok((generated.question, generated.answer))
}

#[tokio::test]
async fn time_goes_through_segments_and_the_updates_inside() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Extreme, 4)?;
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, "").await?;
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press("#step").await?;
        page.segments(2).await?;
        let end = page.board().await?;

        // Two H updates to a segment: four moments and the puzzle.
        rooms.press("#fine").await?;
        page.until(
            "a finer slider",
            "return document.querySelector('#segment').max === '4'",
        )
        .await?;
        rooms.choose("#segment", "1").await?;
        page.says("#segment-text", "Segment 1 of 16, update 1")
            .await?;
        let inside = page.board().await?;
        rooms.press("#pin").await?;
        rooms.choose("#segment", "4").await?;
        page.says("#segment-text", "Segment 2 of 16, end").await?;
        assert_eq!(page.board().await?, end);
        let differing = inside
            .chars()
            .zip(end.chars())
            .filter(|(a, b)| a != b)
            .count();
        let compared = rooms.text(".compared").await?;
        let said = match differing {
            0 => "The same as segment 1, update 1.".to_owned(),
            1 => "1 cell differs from segment 1, update 1.".to_owned(),
            n => format!("{n} cells differ from segment 1, update 1."),
        };
        assert_eq!(compared, said);
        assert_eq!(rooms.count("#board .cell.changed").await?, differing as u64);

        rooms.press("#pin").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 2 of 16, update 1")
            .await?;
        rooms.press("#forward").await?;
        rooms.press("#fine").await?;
        page.says("#segment-text", "Segment 2 of 16").await?;
        rooms.choose("#depth", "64").await?;
        page.says("#segment-text", "Segment 2 of 64").await
    })
    .await
}

#[tokio::test]
async fn the_run_is_named_by_a_stated_rule() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Easy, 3)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        assert_eq!(page.board().await?, answer.to_string());
        let mode = rooms.text("#mode").await?;
        assert!(
            mode.contains("success: right for good from segment"),
            "{mode}"
        );
        // The solution is known here, so wrong cells have their line.
        page.until(
            "a line of wrong cells",
            "return document.querySelectorAll('#run-chart .wrong-line').length === 2",
        )
        .await?;

        // What has no solution ends in a failure, settled or wandering.
        page.paste("11..............").await?;
        rooms.choose("#depth", "8").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        let mode = rooms.text("#mode").await?;
        let settled = rooms.text("#settled").await?;
        let consistent = mode.contains("rivial failure: not right, and z_H still moved")
            && !settled.contains("Now: settled")
            || mode.contains("Non-trivial failure") && settled.contains("Now: settled");
        assert!(consistent, "{mode} {settled}");
        let facts = rooms.text("#cell-facts").await?;
        assert!(
            facts.contains("Row 1, column 1") && facts.contains('%'),
            "{facts}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pencil_marks_selection_hint_and_check() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Hard, 5)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "").await?;
        let blank: Vec<usize> = (0..16).filter(|&cell| question.cells()[cell] == 0).collect();
        let (first, second) = (blank[0], blank[1]);

        // Dragged over, then pencilled: both cells get the mark.
        rooms.drag(&[first, second]).await?;
        rooms.has("#board .cell.selected", 2).await?;
        rooms.press("#mode-corner").await?;
        page.script(&format!("document.querySelector('#cell-{second}').focus()"))
            .await?;
        rooms.key(&json!({ "key": "3", "code": "Digit3" })).await?;
        rooms.has("#board .corner", 2).await?;
        assert_eq!(rooms.text(&format!("#cell-{first} .corner")).await?, "3");
        rooms
            .key(&json!({ "key": "2", "code": "Digit2", "ctrlKey": true }))
            .await?;
        assert_eq!(rooms.text(&format!("#cell-{second} .centre")).await?, "2");
        rooms.key(&json!({ "key": "z", "ctrlKey": true })).await?;
        assert_eq!(rooms.text(&format!("#cell-{second} .centre")).await?, "");
        rooms.key(&json!({ "key": "z" })).await?;
        let pressed = page
            .script("return document.querySelector('#mode-digit').getAttribute('aria-pressed')")
            .await?;
        assert_eq!(pressed, "true");

        // Two equal digits that are not both right are found by the check.
        let wrong = answer.cells()[first] % 4 + 1;
        page.script(&format!(
            "const cell = document.querySelector('#cell-{first}'); \
             cell.dispatchEvent(new MouseEvent('mousedown', {{ bubbles: true, buttons: 1 }})); cell.focus()"
        ))
        .await?;
        rooms
            .key(&json!({ "key": wrong.to_string(), "code": format!("Digit{wrong}") }))
            .await?;
        page.until(
            "a checked board",
            "document.querySelector('#check').click(); \
             return document.querySelector('.notice').textContent.includes('1 digit is wrong')",
        )
        .await?;
        rooms.has("#board .cell.mistaken", 1).await?;
        // A hint where the cursor is puts it right.
        rooms.press("#hint").await?;
        page.until(
            "a right cell",
            &format!(
                "return document.querySelector('#cell-{first}').textContent.trim() === '{}'",
                answer.cells()[first]
            ),
        )
        .await?;
        // Out in a form that comes in again.
        page.script("document.querySelector('.as-text').open = true").await?;
        rooms.press("#as-grid").await?;
        let text = page
            .script("return document.querySelector('#text').value")
            .await?;
        let back = Board::parse(text.as_str().context("no text")?, Some(Shape::S4))?;
        assert_eq!(back.cells()[first], answer.cells()[first]);
        Ok(())
    })
    .await
}

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
        let mut written = 0;
        for (run, report) in reports.flatten() {
            let lives = (report.segment - 1) / 24;
            let segment = report.segment - 24 * lives;
            let most = (segment - 1) / 2;
            assert!(
                report.committed.len() <= most,
                "run {run}, segment {segment}: {report:?}"
            );
            assert!(
                report
                    .committed
                    .iter()
                    .all(|&cell| question.get(cell) == Some(0))
            );
            written = written.max(report.committed.len());
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
async fn the_latent_plane_has_a_landscape_and_visitors() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=latent").await?;
        let plane = LatentPlane::of(&page);
        plane.step(2).await?;
        rooms.has("#plane .track.own", 1).await?;
        rooms.has("#plane .stop", 4).await?;

        plane.draw_landscape().await?;
        page.until(
            "arrows",
            "return (document.querySelector('#plane .flow')?.getAttribute('d') ?? '').length > 1000",
        )
        .await?;

        // The same as a surface, which turns.
        turns(&page, &rooms).await?;

        // A click starts a run there; the end of it is one to walk to.
        plane.click(0.25, 0.25).await?;
        rooms.has("#plane .track", 2).await?;
        rooms.has(".ends-table tbody tr", 2).await?;
        plane.idle().await?;
        rooms.press("#walk-line").await?;
        page.until(
            "a line",
            "return (document.querySelector('#line-chart .conflicts-line')?.getAttribute('d') ?? '')\
             .split('L').length === 41",
        )
        .await?;

        rooms.press("#draw-basins").await?;
        page.until(
            "basins",
            "return document.querySelectorAll('#basin-ends li').length > 0 \
             && document.querySelector('#stop-latent') === null",
        )
        .await
    })
    .await
}

/// Shows the landscape as a surface and turns it.
async fn turns(page: &Playground, rooms: &Rooms) -> Result<()> {
    rooms.press("#solid").await?;
    let picture = "return document.querySelector('#surface').toDataURL()";
    page.until("a surface", &format!("{picture}.length > 20000"))
        .await?;
    let before = page.script(picture).await?;
    page.script("document.querySelector('#surface').focus()")
        .await?;
    rooms.key(&json!({ "key": "ArrowLeft" })).await?;
    page.until("another view of it", &format!("{picture} !== {before}"))
        .await
}

#[tokio::test]
async fn on_a_gpu_the_plane_has_every_update_and_a_surface() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let url = format!(
            "{}?device=gpu#model=hrm-4x4&puzzle={question}&room=latent",
            server.url()
        );
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        let plane = LatentPlane::of(&page);
        plane.step(2).await?;
        rooms.has("#plane .stop", 4).await?;
        rooms.press("#fine").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 2 of 16, update 1")
            .await?;
        plane.draw_landscape().await?;
        turns(&page, &rooms).await
    })
    .await
}

#[tokio::test]
async fn a_link_leads_to_a_view_of_the_plane() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Extreme, 2)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=latent").await?;
        let plane = LatentPlane::of(&page);
        plane.step(1).await?;
        plane.draw_landscape().await?;
        plane.click(0.75, 0.25).await?;
        rooms.has("#plane .track", 2).await?;
        rooms.press("#noisy-visit").await?;
        rooms.has("#plane .track", 3).await?;
        plane.idle().await?;
        let drawn = plane.drawn_tracks().await?;
        let link = page
            .script("return document.querySelector('.plane .permalink').href")
            .await?;
        let link = link.as_str().context("no link")?.to_owned();
        assert!(link.contains("latent=landscape,held,"), "{link}");

        // The same tracks on the same ground.
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        rooms.has("#plane .track", 3).await?;
        page.says("#landscape-known", "1681 of 1681").await?;
        let plane = LatentPlane::of(&page);
        plane.idle().await?;
        assert_eq!(plane.drawn_tracks().await?, drawn);
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
        assert!(rooms.text(".runner .network").await?.contains("Compact"));
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

#[tokio::test]
async fn runs_have_a_speed_and_go_on_as_far_as_one_likes() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let puzzle: Board = "11..............".parse()?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &puzzle, "").await?;
        rooms.choose("#speed", "3").await?;
        rooms.press("#play").await?;
        page.ended().await?;
        page.says("#segment-text", "Segment 16 of 16").await?;
        page.says("#play", "Go on").await?;
        rooms.press("#play").await?;
        page.segments(32).await?;
        page.ended().await?;
        rooms.press("#step").await?;
        page.segments(33).await?;
        // A link leads to the inside of a segment, and keeps the depth.
        rooms.choose("#depth", "64").await?;
        rooms.press("#fine").await?;
        rooms.press("#back").await?;
        page.says("#segment-text", "Segment 33 of 64, update 1")
            .await?;
        let board = page.board().await?;
        page.until(
            "the moment in the address",
            "return location.hash.includes('step=33.1') && location.hash.includes('depth=64')",
        )
        .await?;
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        page.says("#segment-text", "Segment 33 of 64, update 1")
            .await?;
        assert_eq!(page.board().await?, board);
        // So it does to two moments that are compared, and to a speed.
        let rooms = Rooms::of(&page);
        rooms.press("#pin").await?;
        rooms.choose("#segment", "1").await?;
        page.says("#segment-text", "Segment 1 of 64, update 1")
            .await?;
        let (board, compared) = (page.board().await?, rooms.text(".compared").await?);
        let differing = rooms.count("#board .cell.changed").await?;
        page.until(
            "both moments in the address",
            "return ['step=1.1', 'compare=33.1', 'speed=Full'].every(pair => location.hash.includes(pair))",
        )
        .await?;
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        page.says("#segment-text", "Segment 1 of 64, update 1")
            .await?;
        let rooms = Rooms::of(&page);
        page.says(".compared", &compared).await?;
        assert_eq!(page.board().await?, board);
        assert_eq!(rooms.count("#board .cell.changed").await?, differing);
        page.until(
            "the speed in the address",
            "return document.querySelector('#speed').value === '3'",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn without_keys_several_cells_can_be_filled() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let blank = Board::blank(Shape::S4);
        let (page, rooms) = open(server, browser, "hrm-4x4", &blank, "").await?;
        rooms.press("#gather").await?;
        for cell in [2, 7, 9] {
            page.click(&format!("#cell-{cell}")).await?;
        }
        rooms.has("#board .cell.selected", 3).await?;
        page.click("#cell-7").await?;
        rooms.has("#board .cell.selected", 2).await?;
        page.click("[aria-label='Write 3']").await?;
        assert_eq!(page.board().await?, "..3......3......");
        rooms
            .press("[aria-label='Edit the puzzle'] .edits button:nth-child(2)")
            .await?;
        assert_eq!(page.board().await?, ".".repeat(16), "taken back");
        rooms
            .press("[aria-label='Edit the puzzle'] .edits button:nth-child(3)")
            .await?;
        assert_eq!(page.board().await?, "..3......3......", "and repeated");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn groups_and_boards_are_pictures_too() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, answer) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, "&room=guesses").await?;
        rooms.press("#race").await?;
        page.says("#race-status", "It took").await?;
        page.catch_files().await?;
        let save =
            |group: &str| format!("{group} + .caption [aria-label='Save the picture as SVG']");
        rooms.press(&save("#race-boards")).await?;
        let (name, text) = page.saved().await?;
        assert_eq!(name, "hrm-guesses.svg");
        assert_eq!(text.matches("<svg").count(), 1 + 9, "{text:.500}");
        assert!(text.contains(">as it is</text>") && text.contains(">guess 9</text>"));

        rooms.press("#play").await?;
        page.ended().await?;
        page.script("document.querySelector('.as-picture').open = true")
            .await?;
        rooms.has("#board-picture", 1).await?;
        rooms.press(&save("#board-picture")).await?;
        let (name, text) = page.saved().await?;
        assert_eq!(name, "hrm-board.svg");
        let digits = text.chars().filter(char::is_ascii_digit);
        assert!(digits.count() > 16 && answer.clues() == 16);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn experiments_have_a_button_and_a_link() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        let link = "&room=experiments&experiment=hints";
        let (page, rooms) = open(server, browser, "hrm-4x4", &question, link).await?;
        page.until(
            "the experiment of the link",
            "return document.querySelector('#experiment-hints')?.getAttribute('aria-pressed') === 'true'",
        )
        .await?;
        rooms.press("#run-experiment").await?;
        page.says("#experiment-status", "95 % interval").await?;
        let bars = rooms.count("#hints-chart .bar").await?;
        assert_eq!(bars as usize, question.blanks() + 1);
        rooms.choose("#hints", "1").await?;
        rooms.press("#take-hints").await?;
        let hinted = Board::parse(&page.board().await?, Some(Shape::S4))?;
        assert_eq!(hinted.clues(), question.clues() + 1);

        // One click chooses and runs.
        rooms.press("#experiment-one-blank").await?;
        page.says("#experiment-status", "of 16 solved").await?;
        rooms.has("#one-blank text", 16).await?;
        let address = browser.client.current_url().await?;
        let fragment = address.fragment().context("no fragment")?;
        assert!(fragment.contains("experiment=one-blank"), "{fragment}");

        rooms.press("#experiment-noise").await?;
        page.says("#experiment-status", "95 % interval").await?;
        rooms.has("#noise-chart circle", 6).await?;
        rooms.press("#experiment-relabellings").await?;
        page.says("#experiment-status", "of 4 solved").await
    })
    .await
}

#[tokio::test]
async fn vanilla_against_hints_by_one_link() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Easy, 9)?;
        let link = "&room=experiments&experiment=two-models";
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, link).await?;
        rooms.press("#hints-pair").await?;
        page.until(
            "the link's rival chosen",
            "return document.querySelector('#rival')?.value === 'hrm-6x6-hints'",
        )
        .await?;
        let address = browser.client.current_url().await?;
        let fragment = address.fragment().context("no fragment")?;
        assert!(fragment.contains("model=hrm-6x6-vanilla"), "{fragment}");
        assert!(fragment.contains("rival=hrm-6x6-hints"), "{fragment}");
        page.until(
            "a network that runs",
            "return document.querySelector('#run-experiment')?.disabled === false",
        )
        .await?;
        rooms.press("#run-experiment").await?;
        page.until(
            "vanilla wrong after 16 segments, its twin right",
            "const said = [...document.querySelectorAll('.race.two .runner figcaption span')].map(s => s.textContent); \
             return /^E [1-9][0-9]* in segment 16$/.test(said[0]) && /^solved/.test(said[1])",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn two_networks_side_by_side() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (question, _) = puzzle(Shape::S6, Difficulty::Easy, 9)?;
        let link = "&room=experiments&experiment=two-models";
        let (page, rooms) = open(server, browser, "hrm-6x6", &question, link).await?;
        rooms.press("#run-experiment").await?;
        rooms.has(".race.two .runner", 2).await?;
        page.until(
            "two whole curves",
            "const curves = [...document.querySelectorAll('#rivals-chart path')]; \
             return curves.length === 2 && curves.every(c => c.getAttribute('d').split('L').length === 16)",
        )
        .await
    })
    .await
}
