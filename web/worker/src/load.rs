//! A model from its folder: manifest, configuration and checked weights.

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::reason::message::{ErrorKind, Event};
use hrm_core::weights::{Manifest, ModelIndex, Weights};

use crate::brought::IMPORTED;
use crate::failure::Failure;
use crate::{fetch, keep, post};

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
    // What the visitor has brought, as far as it is whole.
    for id in keep::folders(base, IMPORTED).await {
        if let Ok(manifest) = manifest(base, &id).await {
            models.push(manifest);
        }
    }
    Ok(models)
}

async fn manifest(base: &str, id: &str) -> Result<Manifest, Failure> {
    let text = text(&format!("{base}{id}/manifest.json"), id).await?;
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

/// A text of a model's folder: from the server, or of an imported model from
/// where it is kept.
async fn text(url: &str, id: &str) -> Result<String, Failure> {
    if !id.starts_with(IMPORTED) {
        return fetch::text(url).await;
    }
    let gone = || {
        Failure::new(
            ErrorKind::Weights,
            format!("{id} is not kept any more; open it again"),
        )
    };
    String::from_utf8(keep::any(url).await.ok_or_else(gone)?).map_err(|_| gone())
}

/// Plan and weights of a model. `progress` gets the bytes received so far and
/// in all.
pub(crate) async fn model(
    base: &str,
    id: &str,
    progress: impl Fn(u64, u64),
) -> Result<(Plan, Weights), Failure> {
    let manifest = manifest(base, id).await?;
    let config = text(&format!("{base}{id}/config.json"), id).await?;
    let plan = Plan::new(&ModelConfig::from_json(&config)?)?;
    if plan.config.puzzle != manifest.puzzle {
        let message = format!("{id}/manifest.json and {id}/config.json name different puzzles");
        return Err(Failure::new(ErrorKind::Weights, message));
    }

    let total = manifest.bytes();
    let mut file = Vec::new();
    let mut posted = 0;
    let mut not_kept = None;
    progress(0, total);
    for part in &manifest.parts {
        let before = file.len() as u64;
        let url = format!("{base}{id}/{}", part.path);
        if let Some(content) = keep::get(&url, &part.sha256).await
            && part.verify(&content).is_ok()
        {
            file.extend_from_slice(&content);
            progress((before + part.bytes).min(total), total);
            continue;
        }
        let content = fetch::bytes(&url, Some(part.bytes), |arrived| {
            let received = (before + arrived).min(total);
            // A hundred steps are enough for any progress bar.
            if received == total || received - posted >= total.div_ceil(100) {
                posted = received;
                progress(received, total);
            }
        })
        .await?;
        part.verify(&content)?;
        if let Err(reason) = keep::put(&url, &part.sha256, &content).await {
            not_kept = Some(reason);
        }
        file.extend_from_slice(&content);
    }
    if let Some(reason) = not_kept {
        post(&Event::NotKept { reason });
    }
    let weights = Weights::from_safetensors(&plan, &file)?;
    Ok((plan, weights))
}
