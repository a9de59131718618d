//! What people bring to the page: networks as they are published, an exported
//! folder, files that are none, and puzzles in the forms that people have.
//! Every file is made here; the weights are random.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::Shape;
use hrm_core::weights::{Weights, sha256_hex};
use hrm_tests::browser::Graphics;
use hrm_tests::page::Playground;
use hrm_tests::rooms::Rooms;
use hrm_tests::server::Fault;
use hrm_tests::visit::{DESKTOP, with_page};
use tempfile::TempDir;

#[path = "../../core/tests/torch_file/mod.rs"]
mod torch_file;

use torch_file::{dict, state, zip};

/// A puzzle that no answer solves, so that a run goes on.
const SMALL: &str = "?device=cpu#model=hrm-4x4&puzzle=11..............";
/// Names of the models that were brought.
const BROUGHT: &str = "return [...document.querySelectorAll('input[name=model]')]\
    .map(m => m.value).filter(id => id.startsWith('imported-')).join()";

/// A checkpoint as HRM's are published, with its weights once they are
/// quantized.
struct Published {
    folder: TempDir,
    plan: Plan,
    quantized: Weights,
}

impl Published {
    /// Random weights of that size: `checkpoint` with `all_config.yaml`.
    fn new(hidden: usize, heads: usize, layers: usize) -> Result<Self> {
        let plan = Plan::new(&ModelConfig::hrm(Shape::S9, hidden, heads, layers))?;
        let weights = Weights::random(&plan, 7);
        let folder = tempfile::tempdir()?;
        let state = dict(state(&plan, &weights, "_orig_mod.model.inner."));
        fs::write(folder.path().join("checkpoint"), zip(&state))?;
        let yaml = format!(
            "arch:\n  H_cycles: 2\n  H_layers: {layers}\n  L_cycles: 2\n  L_layers: {layers}\n  \
             expansion: 4\n  halt_exploration_prob: 0.1\n  halt_max_steps: 16\n  \
             hidden_size: {hidden}\n  loss:\n    loss_type: stablemax_cross_entropy\n    \
             name: losses@ACTLossHead\n  name: hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1\n  \
             num_heads: {heads}\n  pos_encodings: rope\n  puzzle_emb_ndim: {hidden}\n\
             data_path: data/sudoku-extreme-1k-aug-1000\nepochs: 10\nglobal_batch_size: 8\n\
             lr: 0.0001\nrun_name: example\nseed: 0\n"
        );
        fs::write(folder.path().join("all_config.yaml"), yaml)?;
        // As its file holds the initial vectors.
        let tensors = plan.tensors.iter().zip(weights.tensors());
        let tensors = tensors.map(|(spec, tensor)| {
            let mut tensor = tensor.clone();
            if let hrm_core::weights::Values::F32(values) = &mut tensor.values
                && spec.name.ends_with("_init")
            {
                for value in values {
                    *value = half::bf16::from_f32(*value).to_f32();
                }
            }
            tensor
        });
        let weights = Weights::from_tensors(&plan, tensors.collect())?;
        let (quantized, _) = weights.quantize_q8(&plan);
        Ok(Self {
            folder,
            plan,
            quantized,
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        ["checkpoint", "all_config.yaml"]
            .map(|name| self.folder.path().join(name))
            .to_vec()
    }
}

/// Waits until a network is there that was brought; returns its name.
async fn brought(page: &Playground) -> Result<String> {
    let listed = format!("return (() => {{ {BROUGHT} }})() !== ''");
    page.until("a listed network", &listed).await?;
    let id = page.script(BROUGHT).await?;
    let id = id.as_str().context("no name")?.to_owned();
    page.loaded_model(&id).await?;
    Ok(id)
}

/// Plays a segment of a 9x9 puzzle.
async fn plays(page: &Playground) -> Result<()> {
    let rooms = Rooms::of(page);
    for puzzle in ["99", "55"] {
        page.paste(&format!("{puzzle}{}", ".".repeat(79))).await?;
    }
    rooms.press("#step").await?;
    page.segments(1).await?;
    assert!(!page.board().await?.contains('.'));
    Ok(())
}

#[tokio::test]
async fn a_published_network_is_kept_plays_and_is_removed() -> Result<()> {
    let published = Published::new(32, 2, 1)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let kept = "navigator.serviceWorker.ready.then(() => true)";
        assert_eq!(page.promise(kept).await?, true);
        // Who brings nothing loads nothing of what reads it.
        let requested = server.requested().join("\n");
        assert!(!requested.contains("import"), "{requested}");

        page.drop_paths(&published.files()).await?;
        let id = brought(&page).await?;
        plays(&page).await?;
        let listed = page.text("label.model.chosen").await?;
        assert!(
            listed.contains("checkpoint") && listed.contains("9×9"),
            "{listed}"
        );
        // What is kept is, to the bit, what these weights are in 8 bits.
        let digest = format!(
            "caches.open('hrm-weights').then(async c => {{ \
             const key = (await c.keys()).find(k => k.url.includes('{id}/model.safetensors')); \
             const bytes = await (await c.match(key)).arrayBuffer(); \
             const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)); \
             return [...sum].map(b => b.toString(16).padStart(2, '0')).join(''); }})"
        );
        let file = published.quantized.to_safetensors(&published.plan)?;
        assert_eq!(page.promise(&digest).await?, sha256_hex(&file));

        // It is there on the next visit, without a connection too.
        server.go_dark();
        let link = format!("{}?device=cpu#model={id}", server.url());
        browser.client.goto("about:blank").await?;
        let (page, _) = Playground::open(&browser.client, &link).await?;
        page.loaded_model(&id).await?;
        plays(&page).await?;
        // And what made it was kept when it was used.
        page.drop_paths(&published.files()).await?;
        page.until(
            "an end of it",
            "return document.querySelector('#bringing') !== null",
        )
        .await?;
        page.until(
            "an end of it",
            "return document.querySelector('#bringing') === null",
        )
        .await?;
        assert_eq!(brought(&page).await?, id);
        assert_eq!(
            page.script("return document.querySelector('#bring-failure')")
                .await?,
            serde_json::Value::Null
        );

        // Removed while another one is in use, which stays.
        page.choose_model("hrm-4x4").await?;
        let rooms = Rooms::of(&page);
        rooms.press("#step").await?;
        page.segments(1).await?;
        rooms.press(".models .remove").await?;
        page.until(
            "its end",
            &format!("return (() => {{ {BROUGHT} }})() === ''"),
        )
        .await?;
        rooms.press("#step").await?;
        page.segments(2).await?;
        let left = "caches.open('hrm-weights').then(c => c.keys()).then(keys => \
            keys.filter(k => k.url.includes('imported-')).length)";
        assert_eq!(page.promise(left).await?, 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_whole_hrm_goes_through_and_can_be_called_off() -> Result<()> {
    if hrm_tests::browser::dist(Graphics::None)?.is_none() {
        return Ok(());
    }
    let published = Published::new(512, 8, 4)?;
    let bytes = fs::metadata(published.folder.path().join("checkpoint"))?.len();
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        let before = browser.peak_memory();

        // Called off as soon as some of it has been read.
        let call_off = "new MutationObserver((_, own) => { \
            const text = document.querySelector('#bringing')?.textContent ?? ''; \
            if (!/[1-9][0-9]* %/.test(text)) return; \
            own.disconnect(); window.calledOff = text; \
            document.querySelector('#cancel-import').click(); \
            }).observe(document.querySelector('#brought'), { subtree: true, childList: true })";
        page.script(call_off).await?;
        page.drop_paths(&published.files()).await?;
        page.until(
            "an end",
            "return window.calledOff !== undefined && document.querySelector('#bringing') === null",
        )
        .await?;
        // The page goes on with the network that it has.
        rooms.press("#step").await?;
        page.segments(1).await?;
        assert_eq!(page.script(BROUGHT).await?, "");

        let watch = "window.gap = 0; let last = performance.now(); \
            window.watch = setInterval(() => { const now = performance.now(); \
            window.gap = Math.max(window.gap, now - last); last = now; }, 10);";
        page.script(watch).await?;
        let begin = Instant::now();
        page.drop_paths(&published.files()).await?;
        page.until("a listed network", &format!("return (() => {{ {BROUGHT} }})() !== ''"))
            .await?;
        let listed = begin.elapsed();
        let gap = page.script("clearInterval(window.watch); return window.gap").await?;
        let id = brought(&page).await?;
        let ready = begin.elapsed();
        plays(&page).await?;
        let shown = |peak: Option<u64>| peak.map_or_else(|| "unknown".to_owned(), |b| format!("{:.0} MB", b as f64 / 1e6));
        println!(
            "{:.1} MB dropped: listed after {:.1} s, ready after {:.1} s; longest pause of the page {gap} ms; \
             peak memory of the tab {}, before {}",
            bytes as f64 / 1e6,
            listed.as_secs_f64(),
            ready.as_secs_f64(),
            shown(browser.peak_memory()),
            shown(before),
        );
        let facts = page.text("label.model.chosen .facts").await?;
        assert!(facts.contains("27.3 M"), "{id}: {facts}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn files_that_are_no_network_are_named() -> Result<()> {
    let published = Published::new(8, 2, 1)?;
    let folder = tempfile::tempdir()?;
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 109186048\n";
    let page_of_error = "<!DOCTYPE html>\n<html><head><title>401</title></head></html>";
    let whole = fs::read(published.folder.path().join("checkpoint"))?;
    let cut = &whole[..whole.len() / 2];
    let files: [(&str, &[u8]); 5] = [
        ("step_52080", pointer.as_bytes()),
        ("model.pt", page_of_error.as_bytes()),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("half.pt", cut),
        ("empty", b""),
    ];
    for (name, content) in files {
        fs::write(folder.path().join(name), content)?;
    }
    let own = |name: &str| published.folder.path().join(name);
    let other = |name: &str| folder.path().join(name);
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        let cases = [
            (
                vec![other("step_52080")],
                "step_52080: this is a Git LFS pointer",
            ),
            (vec![other("model.pt")], "model.pt: this is a web page"),
            (
                vec![own("checkpoint")],
                "weights without their configuration",
            ),
            (vec![own("all_config.yaml")], "together with the weights"),
            (
                vec![other("half.pt"), own("all_config.yaml")],
                "half.pt: not a readable PyTorch file",
            ),
            (
                vec![other("picture.png"), own("all_config.yaml")],
                "no weights",
            ),
            (vec![own("checkpoint"), other("model.pt")], "configuration"),
        ];
        for (number, (paths, said)) in cases.into_iter().enumerate() {
            page.drop_paths(&paths).await?;
            page.says("#bring-failure", said).await?;
            println!("{}", page.text("#bring-failure p").await?);
            // The network that is there works as before.
            rooms.press("#step").await?;
            page.segments(number + 1).await?;
            rooms.press("#bring-failure button").await?;
            page.until(
                "an end",
                "return document.querySelector('#bring-failure') === null",
            )
            .await?;
        }
        assert_eq!(page.script(BROUGHT).await?, "");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_reads_networks_may_not_come() -> Result<()> {
    let published = Published::new(8, 2, 1)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let rooms = Rooms::of(&page);
        server.spoil(Some(("import_loader.js", Fault::Missing)));
        page.drop_paths(&published.files()).await?;
        page.says("#bring-failure", "could not be loaded").await?;
        // It can be called off before it has begun.
        server.spoil(Some(("import_bg.wasm", Fault::Held)));
        page.drop_paths(&published.files()).await?;
        page.says("#bringing", "Reading your network: 0 %").await?;
        rooms.press("#cancel-import").await?;
        page.until(
            "an end",
            "return document.querySelector('#bringing') === null",
        )
        .await?;
        server.spoil(None);
        page.drop_paths(&published.files()).await?;
        brought(&page).await?;
        plays(&page).await
    })
    .await
}

#[tokio::test]
async fn what_the_browser_does_not_keep_is_held_for_the_visit() -> Result<()> {
    let published = Published::new(32, 2, 1)?;
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        // Small files would fit.
        let full = "const put = Cache.prototype.put; Cache.prototype.put = function (key, ...rest) { \
            return String(key).includes('safetensors') \
            ? Promise.reject(new DOMException('full', 'QuotaExceededError')) \
            : put.call(this, key, ...rest); };";
        server.spoil(Some(("worker_loader.js", Fault::Preceded(full))));
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        page.drop_paths(&published.files()).await?;
        let id = brought(&page).await?;
        page.says(
            "#news",
            "not kept for the next visit: the browser's storage is full",
        )
        .await?;
        plays(&page).await?;
        // Another one meanwhile, and back.
        page.choose_model("hrm-6x6").await?;
        page.choose_model(&id).await?;
        plays(&page).await?;
        server.spoil(None);
        browser.client.refresh().await?;
        page.loaded().await?;
        assert_eq!(page.script(BROUGHT).await?, "");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_exported_folder_is_chosen() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let folder = fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/hrm-6x6"))?;
        let file = |name: &str| folder.join(name);
        page.script("document.querySelector('details.bring').open = true")
            .await?;
        let field = ".bring input:not([webkitdirectory])";
        page.choose_paths(field, &[file("manifest.json"), file("config.json")])
            .await?;
        page.says(
            "#bring-failure",
            "model.safetensors is missing among the files",
        )
        .await?;
        let all = [
            "manifest.json",
            "config.json",
            "model.safetensors",
            "README.md",
        ]
        .map(file);
        page.choose_paths(field, &all).await?;
        let id = brought(&page).await?;
        assert!(id.starts_with("imported-hrm-6x6-"), "{id}");
        // Its own puzzle is shown.
        let rooms = Rooms::of(&page);
        rooms.press("#step").await?;
        page.segments(1).await?;
        // The one in use is removed: another takes its place.
        rooms.press(".models .remove").await?;
        page.until(
            "its end",
            &format!("return (() => {{ {BROUGHT} }})() === ''"),
        )
        .await?;
        page.says(".notice", "There is no network").await?;
        page.until(
            "another network",
            &format!("return !['', {id:?}].includes(document.querySelector('#engine').dataset.model ?? '')"),
        )
        .await?;
        // The folder itself.
        page.choose_paths(
            ".bring input[webkitdirectory]",
            std::slice::from_ref(&folder),
        )
        .await?;
        assert_eq!(brought(&page).await?, id);
        Ok(())
    })
    .await
}

const A: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
const B: &str = "..9748...7.........2.1.9.....7...24..64.1.59..98...3.....8.3.2.........6...2759..";
const A_SOLVED: &str =
    "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

/// The rows of a line of 81 cells.
fn rows(line: &str) -> Vec<&str> {
    (0..9).map(|row| &line[9 * row..9 * row + 9]).collect()
}

/// One text of each kind that people have, all of the first puzzle; whether
/// another one follows.
fn texts() -> Vec<(&'static str, String, bool)> {
    let zeros = A.replace('.', "0");
    let drawn: String = rows(A)
        .iter()
        .enumerate()
        .map(|(row, line)| {
            let rule = if row % 3 == 0 { "*-----------*\n" } else { "" };
            format!("{rule}|{}|{}|{}|\n", &line[..3], &line[3..6], &line[6..])
        })
        .collect();
    let cells = rows(A).into_iter().map(|line| {
        let cells = line.bytes().map(|cell| match cell {
            b'.' => serde_json::json!({}),
            digit => serde_json::json!({ "value": digit - b'0', "given": true }),
        });
        serde_json::Value::Array(cells.collect())
    });
    let grid: Vec<_> = cells.collect();
    let packed = lz_str::compress_to_base64(
        &serde_json::json!({ "size": 9, "title": "Classic", "grid": grid }).to_string(),
    );
    vec![
        ("remarks", format!("# 17 clue list\n{A}\n{B}\n"), true),
        ("tdoku", format!("{A}:0:22:\n{B}\n"), true),
        ("forum", format!("{A}  ED=1.2/1.2/1.2\n{B}\n"), true),
        ("HoDoKu", format!(":0000:x:{A}:::\n"), false),
        (
            ".sdk",
            format!("#AAuthor\n#LEasy\n{}\n", rows(A).join("\n")),
            false,
        ),
        (
            "nine lines",
            format!("{}\n\n{}\n", rows(A).join("\n"), rows(B).join("\n")),
            true,
        ),
        (
            "grids",
            format!(
                "Grid 01\n{}\nGrid 02\n{}\n",
                rows(&zeros).join("\n"),
                rows(B).join("\n")
            ),
            true,
        ),
        (
            "OpenSudoku",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<opensudoku>\n<name>x</name>\n<game data=\"{zeros}\" />\n</opensudoku>\n"
            ),
            false,
        ),
        ("tabs", format!("{A}\tsolved\n"), false),
        ("quotes", format!("\"{A}\"\n"), false),
        (
            "Kaggle",
            format!("quizzes,solutions\n{zeros},{A_SOLVED}\n"),
            false,
        ),
        (
            "semicolons",
            format!("source;question;answer;rating\na;{A};{A_SOLVED};0\n"),
            false,
        ),
        (
            "Excel",
            format!("\u{feff}source,question,answer,rating\r\na,{A},,2.5\r\n"),
            false,
        ),
        (
            "upper case",
            format!("Question,Answer\n{A},{A_SOLVED}\n"),
            false,
        ),
        ("JSON lines", format!("{{\"puzzle\": \"{A}\"}}\n"), false),
        ("a bad line", format!("5{A}\n{A}\n{B}\n"), true),
        ("drawn", drawn, false),
        (
            "f-puzzles",
            format!("https://www.f-puzzles.com/?load={packed}"),
            false,
        ),
        (
            "SudokuPad",
            format!("https://sudokupad.app/fpuz{packed}"),
            false,
        ),
        (
            "an address",
            format!("https://www.sudokuwiki.org/sudoku.htm?bd={zeros}"),
            false,
        ),
    ]
}

#[tokio::test]
async fn a_puzzle_of_every_kind_can_be_pasted() -> Result<()> {
    with_page(Graphics::None, DESKTOP, async |server, browser| {
        let url = format!("{}{SMALL}", server.url());
        let (page, _) = Playground::open(&browser.client, &url).await?;
        page.loaded().await?;
        let shows = format!(
            "return [...document.querySelectorAll('#board .cell')]\
             .map(c => c.textContent.trim() || '.').join('') === '{A}'"
        );
        for (kind, text, more) in texts() {
            page.paste(&format!("9{}", ".".repeat(80))).await?;
            page.paste(&text).await?;
            page.until(&format!("the puzzle of {kind}"), &shows).await?;
            let said = page.text(".notice").await?;
            assert_eq!(
                said.starts_with("This is the first of 2"),
                more,
                "{kind}: {said}"
            );
        }
        // As files, whatever their names, packed or as other systems write.
        let folder = tempfile::tempdir()?;
        let table = format!("quizzes,solutions\n{A},{A_SOLVED}\n");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, table.as_bytes())?;
        let wide = [0xff, 0xfe].into_iter();
        let wide = wide.chain(table.encode_utf16().flat_map(u16::to_le_bytes));
        let files = [
            ("sudoku.csv.gz", packed.finish()?),
            ("unicode.txt", wide.collect()),
            ("puzzle.sdk", rows(A).join("\r\n").into_bytes()),
        ];
        for (name, content) in files {
            page.paste(&format!("9{}", ".".repeat(80))).await?;
            let path = folder.path().join(name);
            fs::write(&path, content)?;
            page.drop_paths(&[path]).await?;
            page.until(&format!("the puzzle of {name}"), &shows).await?;
        }
        // What is none is said, and nothing changes.
        for (text, said) in [
            ("hello", "Not a puzzle: "),
            ("https://sudokupad.app/abc", "its site knows"),
            ("quizzes,solutions\n1,2\n", "Not a puzzle: "),
        ] {
            page.paste(text).await?;
            page.says(".notice", said).await?;
            page.paste(A).await?;
            page.until("the puzzle", &shows).await?;
            page.until(
                "no word",
                "return document.querySelector('.notice').textContent === ''",
            )
            .await?;
        }
        Ok(())
    })
    .await
}
