//! Loaders of puzzles, configurations and weights take random and mutated
//! inputs without a panic. `PROPTEST_CASES` sets how many (10^6 for the long
//! run; the default keeps ordinary test runs short).

use std::sync::OnceLock;

use hrm_core::config::ModelConfig;
use hrm_core::plan::Plan;
use hrm_core::puzzle::{Board, Shape};
use hrm_core::weights::{Manifest, ModelIndex, Part, Scheme, Weights};
use proptest::prelude::*;

const PUZZLE: &str =
    "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

/// A small model's file, made once.
fn model() -> &'static (Plan, [Vec<u8>; 2]) {
    static MODEL: OnceLock<(Plan, [Vec<u8>; 2])> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut config = ModelConfig::compact(Shape::S4, 4);
        config.token_inner = Some(3);
        let plan = Plan::new(&config).unwrap();
        let weights = Weights::random(&plan, 1);
        let files =
            [&weights, &weights.quantize_q8(&plan).0].map(|w| w.to_safetensors(&plan).unwrap());
        (plan, files)
    })
}

/// Ways to damage a file.
#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    Append(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(i, b)| Damage::Set(i, b)),
        2 => (index(), any::<u8>()).prop_map(|(i, b)| Damage::Insert(i, b)),
        2 => index().prop_map(Damage::Remove),
        1 => index().prop_map(Damage::Truncate),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Damage::Append),
    ]
}

fn apply(bytes: &mut Vec<u8>, damages: &[Damage]) {
    for damage in damages {
        if bytes.is_empty() {
            return;
        }
        let n = bytes.len();
        match damage {
            Damage::Set(i, b) => bytes[i.index(n)] = *b,
            Damage::Insert(i, b) => bytes.insert(i.index(n), *b),
            Damage::Remove(i) => {
                bytes.remove(i.index(n));
            }
            Damage::Truncate(i) => bytes.truncate(i.index(n)),
            Damage::Append(more) => bytes.extend(more),
        }
    }
}

/// Damage that favours the header, where a safetensors file has its
/// structure.
fn in_header(damages: &[Damage], bytes: &mut Vec<u8>, header: usize) {
    let rest = bytes.split_off(header.min(bytes.len()));
    apply(bytes, damages);
    bytes.extend(rest);
}

proptest! {
    #[test]
    fn puzzles(text in any::<String>(), bytes in prop::collection::vec(prop_oneof![Just(b'.'), Just(b'0'), Just(b'|'), Just(b'-'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..200)) {
        for shape in [None, Some(Shape::S4), Some(Shape::S6), Some(Shape::S9)] {
            let _ = Board::parse(&text, shape);
            let _ = Board::parse(&String::from_utf8_lossy(&bytes), shape);
        }
    }

    #[test]
    fn mutated_puzzles(damages in prop::collection::vec(damage(), 0..6)) {
        let mut bytes = PUZZLE.as_bytes().to_vec();
        apply(&mut bytes, &damages);
        // What is accepted is a board: it has 81 cells and reads back.
        if let Ok(board) = Board::parse(&String::from_utf8_lossy(&bytes), Some(Shape::S9)) {
            prop_assert_eq!(Board::parse(&board.to_string(), None), Ok(board));
        }
    }

    #[test]
    fn configs(damages in prop::collection::vec(damage(), 0..6), preset in 0..ModelConfig::PRESETS.len()) {
        let config = ModelConfig::preset(ModelConfig::PRESETS[preset]).unwrap();
        let mut bytes = config.to_json().into_bytes();
        apply(&mut bytes, &damages);
        // What validates can be planned and survives its own JSON.
        if let Ok(config) = ModelConfig::from_json(&String::from_utf8_lossy(&bytes)) {
            prop_assert!(Plan::new(&config).is_ok());
            prop_assert!(ModelConfig::from_json(&config.to_json()).is_ok());
        }
    }

    #[test]
    fn weights(damages in prop::collection::vec(damage(), 1..4), quantized in any::<bool>(), header in any::<bool>()) {
        let (plan, files) = model();
        let mut bytes = files[usize::from(quantized)].clone();
        if header {
            let length = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            in_header(&damages, &mut bytes, length);
        } else {
            apply(&mut bytes, &damages);
        }
        // What is accepted has every tensor in its shape, all finite.
        if let Ok(weights) = Weights::from_safetensors(plan, &bytes) {
            for (tensor, spec) in weights.tensors().iter().zip(&plan.tensors) {
                prop_assert_eq!(&tensor.shape, &spec.shape);
                prop_assert_eq!(tensor.dense().len(), spec.elements());
            }
        }
    }

    #[test]
    fn random_bytes_as_weights(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Weights::from_safetensors(&model().0, &bytes).is_err());
    }

    #[test]
    fn manifests(damages in prop::collection::vec(damage(), 0..6)) {
        let manifest = Manifest {
            boards: Vec::new(),
            sees_images_alike: false,
            id: "m".into(),
            title: "M".into(),
            summary: "s".into(),
            puzzle: Shape::S9.into(),
            parameters: 1,
            scheme: Scheme::Q8,
            parts: vec![Part::of("model.safetensors", b"abc")],
        };
        let mut bytes = serde_json::to_vec(&manifest).unwrap();
        apply(&mut bytes, &damages);
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(manifest) = Manifest::from_json(&text) {
            for part in &manifest.parts {
                let _ = part.verify(b"abc");
            }
            let _ = manifest.bytes();
        }
        let _ = ModelIndex::from_json(&text);
    }
}
