//! A model from its folder: manifest, configuration and checked weights.

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::reason::message::{ErrorKind, Event};
use hrm_core::weights::{Manifest, ModelIndex, Weights};

use crate::failure::Failure;
use crate::{fetch, post};

/// The manifests of all models under `base`, in the order of its index.
pub(crate) async fn catalog(base: &str) -> Result<Vec<Manifest>, Failure> {
    let index = ModelIndex::from_json(&fetch::text(&format!("{base}index.json")).await?)?;
    if index.models.is_empty() {
        return Err(Failure::new(
            ErrorKind::Weights,
            "index.json lists no model",
        ));
    }
    let mut models = Vec::with_capacity(index.models.len());
    for id in &index.models {
        models.push(manifest(base, id).await?);
    }
    Ok(models)
}

async fn manifest(base: &str, id: &str) -> Result<Manifest, Failure> {
    let text = fetch::text(&format!("{base}{id}/manifest.json")).await?;
    let manifest = Manifest::from_json(&text)?;
    if manifest.id == id {
        Ok(manifest)
    } else {
        let message = format!(
            "{id}/manifest.json describes another model, {:?}",
            manifest.id
        );
        Err(Failure::new(ErrorKind::Weights, message))
    }
}

/// Plan and weights of a model. Posts the progress of the download.
pub(crate) async fn model(base: &str, id: &str) -> Result<(Plan, Weights), Failure> {
    let manifest = manifest(base, id).await?;
    let config = fetch::text(&format!("{base}{id}/config.json")).await?;
    let plan = Plan::new(&ModelConfig::from_json(&config)?)?;
    if plan.config.puzzle != manifest.puzzle {
        let message = format!("{id}/manifest.json and {id}/config.json name different puzzles");
        return Err(Failure::new(ErrorKind::Weights, message));
    }

    let total = manifest.bytes();
    let mut file = Vec::new();
    let mut posted = 0;
    post(&Event::Progress { received: 0, total });
    for part in &manifest.parts {
        let before = file.len() as u64;
        let url = format!("{base}{id}/{}", part.path);
        let content = fetch::bytes(&url, Some(part.bytes), |arrived| {
            let received = (before + arrived).min(total);
            // A hundred steps are enough for any progress bar.
            if received == total || received - posted >= total.div_ceil(100) {
                posted = received;
                post(&Event::Progress { received, total });
            }
        })
        .await?;
        part.verify(&content)?;
        file.extend_from_slice(&content);
    }
    let weights = Weights::from_safetensors(&plan, &file)?;
    Ok((plan, weights))
}
