//! The fields of a published architecture, taken one by one; what is left at
//! the end nobody has understood.

use serde_json::{Map, Value};

use super::config::kind;
use super::{ImportError, note_list};

/// Fields that say nothing of what a model computes: of training, of the
/// loss, of other programs.
const DROPPED: [&str; 48] = [
    "loss",
    "loss_type",
    "short_name",
    "forward_dtype",
    "dtype",
    "torch_dtype",
    "batch_size",
    "global_batch_size",
    "micro_batch_size",
    "epochs",
    "max_steps",
    "lr",
    "lr_min_ratio",
    "lr_warmup_steps",
    "weight_decay",
    "beta1",
    "beta2",
    "puzzle_emb_lr",
    "puzzle_emb_weight_decay",
    "ema",
    "ema_rate",
    "seed",
    "dropout",
    "data_path",
    "data_paths",
    "project_name",
    "run_name",
    "checkpoint_path",
    "eval_interval",
    "checkpoint_every_eval",
    "gradient_checkpoint",
    "gradient_checkpointing",
    "activation_checkpointing",
    "noise_scale",
    "board_height",
    "board_width",
    "halt_threshold",
    "halt_confirm_steps",
    "halt_confirm_mode",
    "disable_act_halt",
    "act_inference",
    "architectures",
    "model_type",
    "transformers_version",
    "auto_map",
    "use_cache",
    "initializer_range",
    "license",
];

/// Beginnings of field names that are other programs' own.
const FOREIGN: [&str; 7] = [
    "_",
    "eval_",
    "wandb",
    "log_",
    "checkpoint_",
    "optimizer",
    "curriculum",
];

/// The fields that are still to be understood.
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Fields {
    /// Takes a field; null is none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn wrong(name: &str, value: &Value, wanted: &str) -> ImportError {
        ImportError::Config(format!("`{name}` is {}, {wanted} is expected", kind(value)))
    }

    /// A count; `8.0` and `"8"` are 8.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<usize>, ImportError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = match &value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        match number {
            Some(n) if n >= 0.0 && n.fract() == 0.0 && n < 1e15 => Ok(Some(n as usize)),
            _ => Err(Self::wrong(name, &value, "a whole number")),
        }
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f64>, ImportError> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let number = match &value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        number
            .map(Some)
            .ok_or_else(|| Self::wrong(name, &value, "a number"))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ImportError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(b)) => Ok(Some(b)),
            Some(value) => match value.as_str().map(str::to_lowercase).as_deref() {
                Some("true" | "yes") => Ok(Some(true)),
                Some("false" | "no") => Ok(Some(false)),
                _ => Err(Self::wrong(name, &value, "true or false")),
            },
        }
    }

    /// A word.
    pub(super) fn word(&mut self, name: &str) -> Result<Option<String>, ImportError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(Self::wrong(name, &value, "a word")),
        }
    }

    /// Ends the reading: what is known to be of no matter is named, and so is
    /// what is switched off; anything else may change what the model computes
    /// and is refused.
    pub(super) fn finish(self, notes: &mut Vec<String>) -> Result<(), ImportError> {
        let (dropped, rest): (Vec<_>, Vec<_>) = self
            .0
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .partition(|(name, value)| no_matter(name) || off(value));
        if !dropped.is_empty() {
            let names: Vec<String> = dropped.into_iter().map(|(name, _)| name).collect();
            notes.push(format!(
                "configuration: of no matter here, dropped: {}",
                note_list(&names)
            ));
        }
        if rest.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = rest
            .iter()
            .map(|(name, value)| format!("`{name}` ({})", kind(value)))
            .collect();
        Err(ImportError::Config(format!(
            "{} not known here and may change what the model computes; if not, say --ignore {}",
            if names.len() == 1 {
                format!("{} is", names[0])
            } else {
                format!("{} are", names.join(", "))
            },
            rest[0].0
        )))
    }
}

/// Whether a field is known to say nothing of what a model computes.
pub(super) fn no_matter(name: &str) -> bool {
    DROPPED.contains(&name) || FOREIGN.iter().any(|begin| name.starts_with(begin))
}

/// Whether a value switches its field off.
fn off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => matches!(s.to_lowercase().as_str(), "" | "none" | "off" | "false"),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
