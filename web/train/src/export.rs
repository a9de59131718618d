//! What leaves the room: the name of an archive, and the network as a folder
//! of a model of the page.

use hrm_core::plan::Plan;
use hrm_core::weights::{Manifest, Part, Weights};

use crate::archive::File;
use crate::history::Evaluation;
use crate::saved::{CONFIG, MODEL};
use crate::settings::Settings;
use crate::telling::{board, grouped};

/// What an archive of a run is called.
#[must_use]
pub fn archive_name(settings: &Settings, step: u64) -> String {
    format!("{}-step-{step:08}.zip", settings.preset.name())
}

/// The files of a model of the page: its weights as they are, since they are
/// few, with their manifest and architecture.
///
/// # Errors
/// If the manifest can't be written, which no network leads to.
pub fn model(
    settings: &Settings,
    plan: &Plan,
    weights: &Weights,
    step: u64,
    last: Option<&Evaluation>,
) -> Result<Vec<File>, String> {
    let content = weights.to_safetensors(plan).map_err(|e| e.to_string())?;
    let part = Part::of(MODEL, &content);
    let found = last.map_or_else(String::new, |e| {
        format!(
            " It solved {} of {} new {} puzzles.",
            e.right(),
            e.puzzles,
            board(settings)
        )
    });
    let manifest = Manifest {
        id: format!("trained-{}", settings.preset.name()),
        title: format!("{}, trained here", settings.title()),
        summary: format!(
            "Trained on this page for {} steps.{found}",
            grouped(step as usize)
        ),
        puzzle: settings.shape.into(),
        boards: plan.further_boards(),
        sees_images_alike: plan.sees_images_alike(),
        parameters: plan.parameter_count(),
        scheme: weights.scheme(),
        parts: vec![part],
    };
    let manifest = serde_json::to_vec(&manifest).map_err(|e| e.to_string())?;
    Ok(vec![
        ("manifest.json".to_owned(), manifest),
        (CONFIG.to_owned(), plan.config.to_json().into_bytes()),
        (MODEL.to_owned(), content),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Preset;

    #[test]
    fn a_model_of_the_page_is_whole() {
        let settings = Preset::Relational6.settings();
        let plan = Plan::new(&settings.config().unwrap()).unwrap();
        let weights = Weights::random(&plan, 3);
        let files = model(&settings, &plan, &weights, 1_200, None).unwrap();
        let manifest = String::from_utf8(files[0].1.clone()).unwrap();
        let manifest = Manifest::from_json(&manifest).unwrap();
        assert!(manifest.plays(settings.shape.into()));
        assert!(manifest.summary.contains("1,200 steps"));
        manifest.parts[0].verify(&files[2].1).unwrap();
        let back = Weights::from_safetensors(&plan, &files[2].1).unwrap();
        assert_eq!(back, weights);
        assert_eq!(
            archive_name(&settings, 1_200),
            "relational-6x6-step-00001200.zip"
        );
    }
}
