//! The landscape as a surface, drawn by the GPU that runs the model.

use hrm_core::engine::EngineError;
use hrm_shaders::{Relief, Scene};
use hrm_web::plot::palette;
use hrm_web::surface::{Camera, TOP};

use crate::engine::Engine;
use crate::post_picture;

/// Pixels along a side at most: what every device can draw.
const MOST: u32 = 2048;

/// What draws surfaces, once one was wanted.
#[derive(Default)]
pub(crate) struct Painter {
    relief: Option<Relief>,
}

impl Painter {
    /// Draws a grid of values and shows it to the page.
    pub(crate) async fn draw(
        &mut self,
        engine: &Engine,
        (values, side): (&[Option<u32>], usize),
        [turn, tilt]: [[f64; 2]; 2],
        size: [u32; 2],
    ) -> Result<(), EngineError> {
        let gpu = engine.gpu().ok_or_else(|| {
            EngineError::Unavailable("surfaces are drawn by a GPU, and there is none".to_owned())
        })?;
        let size = size.map(|length| length.clamp(1, MOST));
        let relief = match self.relief.take().filter(|relief| relief.size() == size) {
            Some(relief) => relief,
            None => Relief::new(gpu, size).await?,
        };
        let scene = Scene {
            values,
            side,
            top: TOP as f32,
            colours: &palette(),
            view: Camera { turn, tilt }.clip(size),
        };
        let pixels = relief.draw(&scene).await?;
        // What has failed is made anew the next time.
        self.relief = Some(relief);
        post_picture(size[0], &pixels)
            .map_err(|_| EngineError::Device("the picture could not be shown".to_owned()))
    }
}
