//! The landscape as a surface that one can turn: drawn by the GPU that runs
//! the network, or without one by the page itself.

use hrm_core::reason::message::EngineKind;
use hrm_web::plot::colour;
use hrm_web::surface::{Camera, TOP, ZOOM, facets};
use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use crate::actions::Page;
use crate::live::effect;
use crate::picture::Caption;
use crate::state::Phase;

/// Pixels of the canvas.
const WIDTH: u32 = 900;
const HEIGHT: u32 = 620;
/// Radians a pixel of dragging, and a key.
const DRAG: f64 = 0.008;
const KEY: f64 = 0.12;

/// The surface of the landscape, if there is one.
#[component]
pub(crate) fn Surface(page: Page) -> impl IntoView {
    let s = page.state;
    let latent = s.lab.latent;
    let canvas = NodeRef::<Canvas>::new();
    let camera = RwSignal::new(Camera::default());
    let by_gpu = Memo::new(move |_| {
        let gpu = s.phase.with(|phase| match phase {
            Phase::Loaded { engine, .. } => engine.kind != EngineKind::Cpu,
            _ => false,
        });
        gpu && !latent.unpainted.get()
    });
    latent.painting.set(None);
    latent.relief.set(None);
    latent.unpainted.set(false);
    let asked = StoredValue::new(None);
    effect(move || {
        let Some(canvas) = canvas.get() else { return };
        let camera = camera.get();
        latent.landscape.with(|picture| {
            let Some((map, _)) = &picture.content else {
                return;
            };
            if !by_gpu.get() {
                draw(&canvas, &map.values, map.side, camera);
                return;
            }
            // One at a time: what is wanted meanwhile follows.
            let wanted = Some((camera, picture.job, map.known));
            if latent.painting.get().is_none() && asked.get_value() != wanted {
                asked.set_value(wanted);
                page.paint(map, camera, [WIDTH, HEIGHT]);
            }
        });
    });
    effect(move || {
        let Some(canvas) = canvas.get() else { return };
        latent.relief.with(|picture| {
            let context = context(&canvas);
            if let (Some(picture), Some(context)) = (picture, context) {
                // Fails only for pictures without pixels.
                let _ = context.put_image_data(picture, 0.0, 0.0);
                latent.painting.set(None);
            }
        });
    });
    // Touches too are pointers.
    let drag = move |event: PointerEvent| {
        if event.buttons() & 1 == 1 {
            let (dx, dy) = (event.movement_x(), event.movement_y());
            camera.update(|c| *c = c.moved(-DRAG * f64::from(dx), DRAG * f64::from(dy)));
        }
    };
    let keys = move |event: KeyboardEvent| {
        let (turn, tilt) = match event.key().as_str() {
            "ArrowLeft" => (KEY, 0.0),
            "ArrowRight" => (-KEY, 0.0),
            "ArrowUp" => (0.0, -KEY),
            "ArrowDown" => (0.0, KEY),
            _ => return,
        };
        event.prevent_default();
        camera.update(|c| *c = c.moved(turn, tilt));
    };
    view! {
        <figure class="surface">
            <canvas
                id="surface"
                node_ref=canvas
                width=WIDTH
                height=HEIGHT
                tabindex="0"
                role="application"
                aria-label="The landscape as a surface: valleys are answers with few conflicts. Arrow keys turn it."
                on:pointermove=drag
                on:keydown=keys
            ></canvas>
            <Caption page picture="surface" name="hrm-surface">
                "The same landscape as a surface; drag it or use the arrow keys to turn it."
            </Caption>
        </figure>
    }
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    let context = canvas.get_context("2d").ok().flatten()?;
    context.dyn_into().ok()
}

/// Draws the surface without a GPU.
fn draw(canvas: &HtmlCanvasElement, values: &[Option<u32>], side: usize, camera: Camera) {
    let Some(context) = context(canvas) else {
        return;
    };
    let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
    context.clear_rect(0.0, 0.0, width, height);
    context.set_line_width(0.6);
    let scale = ZOOM * width;
    let place = |[x, y]: [f64; 2]| (width / 2.0 + scale * x, height / 2.0 + scale * y);
    for facet in facets(values, side, TOP, camera) {
        context.begin_path();
        for (i, corner) in facet.corners.into_iter().enumerate() {
            let (x, y) = place(corner);
            if i == 0 {
                context.move_to(x, y);
            } else {
                context.line_to(x, y);
            }
        }
        context.close_path();
        let fill = colour(facet.value / TOP as f32);
        context.set_fill_style_str(&fill);
        // Its own colour closes the seams between facets.
        context.set_stroke_style_str(&fill);
        context.fill();
        context.stroke();
    }
}
