//! The landscape as a surface that one can turn, drawn on a canvas.

use hrm_web::plot::colour;
use hrm_web::surface::{Camera, facets};
use leptos::ev::{KeyboardEvent, MouseEvent};
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use crate::actions::Page;
use crate::picture::Caption;

/// Pixels of the canvas.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 620.0;
/// E is told apart up to here.
const CLIP: u32 = 40;
/// Radians a pixel of dragging, and a key.
const DRAG: f64 = 0.008;
const KEY: f64 = 0.12;

/// The surface of the landscape, if there is one.
#[component]
pub(crate) fn Surface(page: Page) -> impl IntoView {
    let landscape = page.state.lab.latent.landscape;
    let canvas = NodeRef::<Canvas>::new();
    let camera = RwSignal::new(Camera::default());
    Effect::new(move || {
        let Some(canvas) = canvas.get() else { return };
        let camera = camera.get();
        landscape.with(|picture| {
            if let Some((map, _)) = &picture.content {
                draw(&canvas, &map.values, map.side, camera);
            }
        });
    });
    let drag = move |event: MouseEvent| {
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
                on:mousemove=drag
                on:keydown=keys
            ></canvas>
            <Caption page picture="surface" name="hrm-surface">
                "The same landscape as a surface; drag it or use the arrow keys to turn it."
            </Caption>
        </figure>
    }
}

fn draw(canvas: &HtmlCanvasElement, values: &[Option<u32>], side: usize, camera: Camera) {
    let context = canvas.get_context("2d").ok().flatten();
    let Some(context) = context.and_then(|c| c.dyn_into::<CanvasRenderingContext2d>().ok()) else {
        return;
    };
    context.clear_rect(0.0, 0.0, WIDTH, HEIGHT);
    context.set_line_width(0.6);
    let scale = 0.68 * WIDTH;
    let place = |[x, y]: [f64; 2]| (WIDTH / 2.0 + scale * x, HEIGHT / 2.0 + scale * y);
    for facet in facets(values, side, CLIP, camera) {
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
        let fill = colour(facet.value / CLIP as f32);
        context.set_fill_style_str(&fill);
        // Its own colour closes the seams between facets.
        context.set_stroke_style_str(&fill);
        context.fill();
        context.stroke();
    }
}
