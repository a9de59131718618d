//! Every action in every state: the table, and that it is so.
//!
//! Whatever is done, nothing fails, nothing waits for ever, and the page goes
//! on working.

use anyhow::{Context, Result, ensure};
use hrm_tests::browser::{Browser, Graphics};
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Server;
use hrm_tests::visit::{DESKTOP, with_page};

/// A puzzle that no answer solves, so that a run goes on.
const ENDLESS: &str = "11..............";
/// One that is solved.
const EASY: &str = ".13.3....3.4.413";
const MODEL: &str = "hrm-4x4";

/// What can be going on when something is done.
const STATES: [&str; 10] = [
    "at rest",
    "playing",
    "paused",
    "looking back",
    "solved",
    "failed",
    "replaying",
    "racing",
    "looking at a guess",
    "loading",
];

/// What comes of it: the puzzle with nothing run (`W`), a run that plays or
/// waits for its network (`P`), a run on its way (`U`), an outcome (`O`); `.`
/// where it leaves the run as it is (one that plays may come to its end
/// meanwhile), and `?` where that depends on what is faster.
const TABLE: [(&str, &str); 21] = [
    //                      the states, in their order
    ("play or pause", "PUPP?PUPPP"),
    ("step", "UUUU?UUUU?"),
    ("reset", "WWWWWWWWWW"),
    ("full speed", ".........."),
    ("another depth", ".....U...."),
    ("back to the first segment", "WWWWWWWWWW"),
    ("inside segments", ".........."),
    ("compare", ".........."),
    ("a digit", "WWWWWWWWWW"),
    ("a hint", "....W....."),
    ("check", ".........."),
    ("clear", "WWWWWWWWWW"),
    ("paste", "WWWWWWWWWW"),
    ("another puzzle", "WWWWWWWWWW"),
    ("another network", "WWWWWWWWWW"),
    ("another processor", ".........."),
    ("drop a run", "PPPPPPPPPP"),
    ("drop a puzzle", "WWWWWWWWWW"),
    ("race", "........?."),
    ("experiment", ".........."),
    ("open a room", ".........."),
];

/// Brings the page to a state.
async fn bring(page: &Playground, rooms: &Rooms, state: &str, run: &str) -> Result<()> {
    // Whatever was before: a network, a puzzle, at rest, slow.
    rooms
        .press(&format!("input[name=model][value='{MODEL}']"))
        .await?;
    let puzzle = if state == "solved" { EASY } else { ENDLESS };
    // Another one in between, so that it is put there anew.
    page.paste(&".".repeat(16)).await?;
    page.paste(puzzle).await?;
    page.loaded_model(MODEL).await?;
    let calm = "for (const id of ['#stop-race', '#stop-experiment']) document.querySelector(id)?.click(); \
        const fine = document.querySelector('#fine'); if (fine.checked) fine.click(); \
        if (document.querySelector('#pin').getAttribute('aria-pressed') === 'true') document.querySelector('#pin').click();";
    page.script(calm).await?;
    rooms.choose("#depth", "8").await?;
    rooms.choose("#speed", "0").await?;
    match state {
        "at rest" => {}
        "playing" => {
            rooms.press("#play").await?;
            page.segments(1).await?;
        }
        "paused" | "looking back" => {
            for segment in 1..=3 {
                rooms.press("#step").await?;
                page.segments(segment).await?;
            }
            if state == "looking back" {
                rooms.choose("#segment", "1").await?;
                page.says("#segment-text", "Segment 1 of").await?;
            }
        }
        "solved" | "failed" => {
            rooms.choose("#speed", "3").await?;
            rooms.press("#play").await?;
            page.ended().await?;
            rooms.choose("#speed", "0").await?;
        }
        "replaying" => {
            page.drop_file("run.json", run).await?;
            page.segments(1).await?;
        }
        "racing" | "looking at a guess" => {
            rooms.open("guesses").await?;
            page.script("const c = document.querySelector('#commit'); if (!c.checked) c.click()")
                .await?;
            rooms.press("#race").await?;
            page.until(
                "a race",
                "return document.querySelector('#stop-race') !== null",
            )
            .await?;
            if state == "looking at a guess" {
                page.until(
                    "a guess on the board",
                    "document.querySelectorAll('.look')[1]?.click(); \
                     return document.querySelector('#segment-text').textContent.startsWith('Guess 2')",
                )
                .await?;
                rooms.press("#stop-race").await?;
            }
        }
        "loading" => {
            // Not awaited: what is done next is done meanwhile.
            let load = "const choice = document.querySelector('#device'); \
                choice.value = choice.value === 'cpu' ? 'auto' : 'cpu'; \
                choice.dispatchEvent(new Event('change', { bubbles: true }));";
            page.script(load).await?;
        }
        _ => anyhow::bail!("no state {state}"),
    }
    Ok(())
}

/// Does something, as soon as it can be done; what can't be is left.
async fn act(page: &Playground, rooms: &Rooms, action: &str, run: &str) -> Result<()> {
    let click = async |selector: &str| {
        page.script(&format!(
            "const e = document.querySelector({selector:?}); if (e && !e.disabled) e.click();"
        ))
        .await
        .map(drop)
    };
    match action {
        "play or pause" => click("#play").await,
        "step" => click("#step").await,
        "reset" => click("#reset").await,
        "full speed" => rooms.choose("#speed", "3").await,
        "another depth" => rooms.choose("#depth", "16").await,
        "back to the first segment" => rooms.choose("#segment", "0").await,
        "inside segments" => click("#fine").await,
        "compare" => click("#pin").await,
        "a digit" => {
            let type_it = "document.querySelector('#mode-digit').focus(); \
                document.querySelector('#mode-digit').dispatchEvent(new KeyboardEvent('keydown', \
                { key: '4', code: 'Digit4', bubbles: true, cancelable: true }))";
            let elsewhere = "document.querySelector('#cell-5').dispatchEvent(new Event('focusin', { bubbles: true }))";
            page.script(elsewhere).await?;
            page.script(type_it).await.map(drop)
        }
        "a hint" => click("#hint").await,
        "check" => click("#check").await,
        "clear" => click(".edits button:last-child").await,
        "paste" => page.paste("2...............").await,
        "another puzzle" => {
            click("#generate").await?;
            page.until(
                "a made puzzle",
                "return !document.querySelector('#generate').disabled",
            )
            .await
        }
        "another network" => click("input[name=model][value='compact-6x6']").await,
        "another processor" => rooms.choose("#device", "cpu").await,
        "drop a run" => page.drop_file("run.json", run).await,
        "drop a puzzle" => page.drop_file("puzzle.txt", "3...............").await,
        "race" => {
            click("#tab-guesses").await?;
            click("#race").await
        }
        "experiment" => {
            click("#tab-experiments").await?;
            click("#experiment-relabellings").await
        }
        "open a room" => click("#tab-latent").await,
        _ => anyhow::bail!("no action {action}"),
    }
}

/// How the run stands: a letter as in the table.
const STANDING: &str = "const state = document.querySelector('.standing').dataset.state; \
    if (document.querySelector('#play').classList.contains('playing')) return 'P'; \
    return { waiting: 'W', 'under-way': 'U' }[state] ?? 'O';";

async fn stands(page: &Playground) -> Result<String> {
    let letter = page.script(STANDING).await?;
    Ok(letter.as_str().context("no letter")?.to_owned())
}

/// One action in all states.
async fn row(page: &Playground, action: &str, wanted: &str, run: &str) -> Result<()> {
    let rooms = Rooms::of(page);
    for (state, wanted) in STATES.iter().zip(wanted.chars()) {
        let told = format!("{action:?} while {state}");
        bring(page, &rooms, state, run)
            .await
            .context(told.clone())?;
        let before = stands(page).await?;
        act(page, &rooms, action, run).await.context(told.clone())?;
        let expected = match wanted {
            '?' => None,
            '.' => Some(before).filter(|before| before != "P"),
            letter => Some(letter.to_string()),
        };
        if let Some(expected) = expected {
            let script = format!("return (() => {{ {STANDING} }})() === {expected:?}");
            page.until(&format!("{expected} after {told}"), &script)
                .await?;
        }
        // Nothing has failed, and nothing stands for ever.
        page.until(
            &format!("no failure after {told}"),
            "return document.querySelector('#failure') === null",
        )
        .await?;
        let model = "return document.querySelector('#engine')?.dataset.model ?? ''";
        page.until(
            &format!("a network after {told}"),
            &format!("return (() => {{ {model} }})() !== ''"),
        )
        .await?;
    }
    // And it still works.
    bring(page, &rooms, "at rest", run).await?;
    rooms.press("#step").await?;
    page.segments(1).await
}

async fn table(server: &Server, browser: &Browser, rows: &[(&str, &str)]) -> Result<()> {
    let url = format!(
        "{}?device=cpu#model={MODEL}&puzzle={ENDLESS}&speed=Slow",
        server.url()
    );
    let (page, _) = Playground::open(&browser.client, &url).await?;
    page.loaded().await?;
    let rooms = Rooms::of(&page);
    // A run to be dropped.
    for segment in 1..=6 {
        rooms.press("#step").await?;
        page.segments(segment).await?;
    }
    page.catch_files().await?;
    rooms.press("#save-run").await?;
    let (_, run) = page.saved().await?;
    for (action, wanted) in rows {
        ensure!(wanted.chars().count() == STATES.len(), "{action}: {wanted}");
        row(&page, action, wanted, &run).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_action_in_every_state() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        table(server, browser, &TABLE).await
    })
    .await
}
