//! The page in a real Chromium, used as people use it.

use std::path::Path;

use anyhow::{Context, Result};
use fantoccini::key::Key;
use hrm_core::puzzle::{Board, Difficulty, Shape, generate};
use hrm_tests::browser::{Graphics, Make, dist};
use hrm_tests::page::Playground;
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, PHONE, with_page};

/// A model for boards of that side, the smallest first in what ships.
async fn model_for(page: &Playground, side: usize) -> Result<String> {
    let models = page.models().await?;
    let found = models.iter().find(|(_, s)| *s == side);
    Ok(found
        .with_context(|| format!("no model for {side}x{side}"))?
        .0
        .clone())
}

fn puzzle(shape: Shape, difficulty: Difficulty, seed: u64) -> Result<(Board, Board)> {
    let generated = generate(seed, &difficulty.options(shape))?;
    Ok((generated.question, generated.answer))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))
}

#[tokio::test]
async fn opens_to_a_usable_board() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // At rest, so that the board is the puzzle.
        if !browser.prefer("light", true).await? {
            return Ok(());
        }
        let (page, milliseconds) = Playground::open(&browser.client, &server.url()).await?;
        println!("from navigation to a usable board: {milliseconds:.0} ms");
        let board = page.board().await?;
        let shown = Board::parse(&board, None)?;
        assert!(
            shown.clues() > 0 && shown.blanks() > 0,
            "an example is on the board: {board}"
        );
        page.loaded().await?;
        // Nothing is asked for that is not there, and nothing from elsewhere
        // (the browser would refuse it and say so).
        let missing: Vec<_> = server
            .requested()
            .into_iter()
            .filter(|path| path.starts_with("404"))
            .collect();
        assert!(
            missing.iter().all(|path| path.ends_with("favicon.ico")),
            "{missing:?}"
        );
        let complaints = browser.complaints().await?;
        assert!(complaints.is_empty(), "{complaints:#?}");
        page.until(
            "the puzzle in the address",
            &format!("return location.hash.includes({board:?})"),
        )
        .await
    })
    .await
}

#[tokio::test]
async fn solves_a_pasted_puzzle_on_the_cpu() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        let (question, answer) = puzzle(Shape::S9, Difficulty::Easy, 2024)?;
        page.loaded().await?;
        page.paste(&question.to_grid_string()).await?;
        assert_eq!(page.board().await?, question.to_string());
        page.loaded().await?;
        assert!(page.text("#engine").await?.starts_with("CPU"));
        page.click("#play").await?;
        page.ended().await?;
        assert!(
            page.text("#verdict").await?.starts_with("Solved"),
            "{}",
            page.text("#verdict").await?
        );
        assert_eq!(page.board().await?, answer.to_string());
        assert!(page.text(".milliseconds").await?.ends_with("ms a segment"));

        // The slider shows the board as it was, down to the puzzle itself.
        page.script(
            "const s = document.querySelector('#segment'); s.value = 0; \
             s.dispatchEvent(new Event('input', { bubbles: true }))",
        )
        .await?;
        assert_eq!(page.board().await?, question.to_string());
        assert_eq!(page.text("#segment-text").await?, "The puzzle");
        page.reset().await?;
        assert_eq!(page.text("#play").await?, "Play");
        assert_eq!(page.text("#verdict").await?, "");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn solves_on_the_gpu_path() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let url = format!("{}?device=gpu", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let model = model_for(&page, 4).await?;
        page.choose_model(&model).await?;
        let engine = page.text("#engine").await?;
        assert!(
            engine.starts_with("Software GPU") || engine.starts_with("GPU"),
            "{engine}"
        );
        let (question, answer) = puzzle(Shape::S4, Difficulty::Medium, 7)?;
        page.paste(&question.to_string()).await?;
        page.click("#play").await?;
        page.ended().await?;
        assert!(
            page.text("#verdict").await?.starts_with("Solved"),
            "{}",
            page.text("#verdict").await?
        );
        assert_eq!(page.board().await?, answer.to_string());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_software_adapter_is_not_chosen_unasked() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        page.loaded().await?;
        assert!(page.text("#engine").await?.starts_with("CPU"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_lost_gpu_is_replaced_and_the_run_goes_on() -> Result<()> {
    with_page(Graphics::Software, DESKTOP, async |server, browser| {
        let url = format!("{}?device=gpu", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let model = model_for(&page, 4).await?;
        page.choose_model(&model).await?;
        page.paste("11..............").await?;
        page.click("#step").await?;
        page.segments(1).await?;

        if !browser.crash_gpu().await {
            return Ok(());
        }
        page.click("#step").await?;
        page.segments(2).await?;
        let news = page.text("#news").await?;
        assert!(
            news.contains("lost") && news.contains("after segment 1"),
            "{news}"
        );
        assert!(page.text("#engine").await?.contains("GPU"));
        // The same as a run that nothing has happened to.
        let board = page.board().await?;
        page.reset().await?;
        page.click("#step").await?;
        page.segments(1).await?;
        page.click("#step").await?;
        page.segments(2).await?;
        assert_eq!(page.board().await?, board);
        Ok(())
    })
    .await
}

/// Asks for the GPU where there is none, and goes on with the CPU.
async fn turns_to_the_cpu(spoil: Option<(&str, Fault)>, reason: &str) -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        server.spoil(spoil);
        let url = format!("{}?device=gpu", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        let failure = page.failed().await?;
        assert!(failure.contains(reason), "{failure}");
        page.click("#use-cpu").await?;
        page.loaded().await?;
        assert!(page.text("#engine").await?.starts_with("CPU"));
        page.click("#step").await?;
        page.segments(1).await
    })
    .await
}

#[tokio::test]
async fn without_webgpu_there_is_the_cpu() -> Result<()> {
    // As browsers do that have never heard of it.
    let script = "Object.defineProperty(navigator, 'gpu', { value: undefined });";
    turns_to_the_cpu(
        Some(("worker_loader.js", Fault::Preceded(script))),
        "no WebGPU",
    )
    .await
}

#[tokio::test]
async fn without_an_adapter_there_is_the_cpu() -> Result<()> {
    if Make::wanted()? == Make::WebKit {
        println!("skipped: WebKit offers no WebGPU that could find no adapter");
        return Ok(());
    }
    turns_to_the_cpu(None, "WebGPU finds no GPU").await
}

#[tokio::test]
async fn wrong_input_is_explained() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // At rest, so that nothing but the text could change the board.
        if !browser.prefer("light", true).await? {
            return Ok(());
        }
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        page.loaded().await?;
        let before = page.board().await?;
        let (question, _) = puzzle(Shape::S9, Difficulty::Easy, 3)?;
        let mut text = question.to_string();
        text.replace_range(21..22, "x");
        page.paste(&text).await?;
        let notice = page.text(".notice").await?;
        assert!(
            notice.contains("row 3, column 4") && notice.contains("'x'"),
            "{notice}"
        );
        page.paste(&question.to_string()[..80]).await?;
        let notice = page.text(".notice").await?;
        assert!(notice.contains("80 cells"), "{notice}");
        assert_eq!(
            page.board().await?,
            before,
            "a text that is no puzzle changes nothing"
        );

        // A board that breaks the rules is taken, with a word of warning.
        let clashing = format!("55{}", ".".repeat(79));
        page.paste(&clashing).await?;
        assert_eq!(page.board().await?, clashing);
        let warning = page.text(".warning").await?;
        assert!(
            warning.contains("row 1, column 1") && warning.contains("row 1, column 2"),
            "{warning}"
        );
        assert_eq!(page.text(".notice").await?, "");

        // So is one with several solutions.
        page.paste(&".".repeat(81)).await?;
        page.until(
            "a warning",
            "return document.querySelector('.warning').textContent.includes('more than one')",
        )
        .await
    })
    .await
}

#[tokio::test]
async fn spoiled_weights_are_refused() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let dist = dist(Graphics::None)?.context("checked before")?;
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        let model = model_for(&page, 4).await?;
        page.loaded().await?;
        let manifest: serde_json::Value = serde_json::from_str(&read(
            &dist.join("models").join(&model).join("manifest.json"),
        )?)?;
        let part = manifest["parts"][0]["path"]
            .as_str()
            .context("no part")?
            .to_owned();
        let suffix = format!("{model}/{part}");

        server.spoil(Some((&suffix, Fault::Flipped)));
        page.click(&format!("input[name=model][value='{model}']"))
            .await?;
        let failure = page.failed().await?;
        assert!(
            failure.contains("sha256") && failure.contains(&part),
            "{failure}"
        );

        server.spoil(Some((&suffix, Fault::Truncated)));
        page.click("#retry").await?;
        page.until(
            "another message",
            "return document.querySelector('#failure')?.textContent.includes('bytes')",
        )
        .await?;
        let failure = page.failed().await?;
        assert!(
            failure.contains("incomplete") && failure.contains(&part),
            "{failure}"
        );

        server.spoil(Some((&suffix, Fault::Missing)));
        page.click("#retry").await?;
        page.until(
            "another message",
            "return document.querySelector('#failure')?.textContent.includes('404')",
        )
        .await?;

        // And once the file is whole again, so is the page.
        server.spoil(None);
        page.click("#retry").await?;
        page.loaded().await?;
        page.click("#step").await?;
        page.segments(1).await
    })
    .await
}

#[tokio::test]
async fn the_keyboard_alone_does() -> Result<()> {
    with_page(Graphics::None, PHONE, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        let model = model_for(&page, 4).await?;
        page.choose_model(&model).await?;
        page.paste(&".".repeat(16)).await?;

        // Tab from the top of the page leads to the board in the end.
        page.script("document.activeElement.blur()").await?;
        for _ in 0..20 {
            page.press(Key::Tab).await?;
            if page
                .script("return document.activeElement.className.includes('cell')")
                .await?
                == true
            {
                break;
            }
        }
        page.keys("1").await?;
        page.press(Key::Right).await?;
        page.keys("2").await?;
        page.press(Key::Down).await?;
        page.keys("3").await?;
        assert_eq!(page.board().await?, "12...3..........");
        page.press(Key::Backspace).await?;
        assert_eq!(page.board().await?, "12..............");
        // 7 is no digit of this board.
        page.keys("7").await?;
        assert!(page.text(".notice").await?.contains("1 to 4"));
        let control_z = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', \
            { key: 'z', ctrlKey: true, bubbles: true, cancelable: true }))";
        page.script(control_z).await?;
        assert_eq!(page.board().await?, "12...3..........");
        let label = page
            .script("return document.activeElement.getAttribute('aria-label')")
            .await?;
        assert_eq!(label, "Row 2, column 2: 3, given");

        page.press(Key::Enter).await?;
        page.segments(1).await?;
        page.keys(" ").await?;
        page.ended().await?;
        page.press(Key::Escape).await?;
        assert_eq!(page.board().await?, "12...3..........");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_link_brings_puzzle_and_model_back() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let (page, _) = Playground::open(&browser.client, &server.url()).await?;
        let model = model_for(&page, 4).await?;
        page.choose_model(&model).await?;
        let (question, _) = puzzle(Shape::S4, Difficulty::Hard, 5)?;
        page.paste(&question.to_string()).await?;
        let address = browser.client.current_url().await?;
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, address.as_str()).await?;
        assert_eq!(page.board().await?, question.to_string());
        page.loaded().await?;
        let chosen = page.script("return document.querySelector('input[name=model]:checked').value").await?;
        assert_eq!(chosen, model.as_str());
        // A new puzzle comes from the generator in the worker.
        page.click("#generate").await?;
        let other = format!(
            "return [...document.querySelectorAll('#board .cell')].map(c => c.textContent.trim() || '.').join('') !== '{question}'"
        );
        page.until("another puzzle", &other).await?;
        let made = Board::parse(&page.board().await?, Some(Shape::S4))?;
        assert_eq!(hrm_core::puzzle::solve(&made, 2).solutions.len(), 1, "{made}");
        Ok(())
    })
    .await
}
