//! WebAssembly's relaxed dot product of bytes, where the browser has it and it
//! is exact: a module of its own in this one's memory, see `module.rs`.

use std::cell::{OnceCell, RefCell};

use js_sys::{Array, Function, Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};

use super::{Job, Kernel};
use crate::cpu::gemm::ViewMut;

const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// Where the second operand is taken for unsigned (x86 with VNNI).
static UNSIGNED: Kernel = with("WebAssembly relaxed SIMD", 128);

/// Where it is taken for signed (ARM).
static SIGNED: Kernel = with("WebAssembly relaxed SIMD, signed", 0);

const fn with(name: &'static str, offset: u8) -> Kernel {
    Kernel {
        name,
        rows: ROWS,
        columns: COLUMNS,
        step: 4,
        offset,
        product,
    }
}

thread_local! {
    static LOADED: OnceCell<Option<(Function, &'static Kernel)>> = const { OnceCell::new() };
    static SUMS: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// The kernel, if this browser has it.
pub(super) fn kernel() -> Option<&'static Kernel> {
    LOADED.with(|loaded| loaded.get_or_init(load).as_ref().map(|(_, kernel)| *kernel))
}

fn load() -> Option<(Function, &'static Kernel)> {
    let bytes = Uint8Array::from(&include_bytes!("module.wasm")[..]);
    let module = WebAssembly::Module::new(&bytes).ok()?;
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory()).ok()?;
    Reflect::set(&imports, &"env".into(), &env).ok()?;
    let instance = WebAssembly::Instance::new(&module, &imports).ok()?;
    let function = Reflect::get(&instance.exports(), &"product".into()).ok()?;
    let function: Function = function.dyn_into().ok()?;
    // What the instruction does with a top bit in its second operand is up to
    // the processor; some saturate, which is no use here.
    let mut sums = [0; ROWS * COLUMNS];
    let (words, weights) = ([u32::MAX; ROWS], [-127; COLUMNS * 4]);
    call(&function, [1, 1, 1], &words, &weights, &mut sums)?;
    let kernel = match sums[0] {
        -129_540 => &UNSIGNED,
        508 => &SIGNED,
        _ => return None,
    };
    sums.iter()
        .all(|&s| s == sums[0])
        .then_some((function, kernel))
}

/// Sums of `[steps, tiles, panels]`; `None` if the call failed.
fn call(
    function: &Function,
    sizes: [usize; 3],
    words: &[u32],
    weights: &[i8],
    sums: &mut [i32],
) -> Option<()> {
    let pointers = [
        words.as_ptr().expose_provenance(),
        weights.as_ptr().expose_provenance(),
        sums.as_mut_ptr().expose_provenance(),
    ];
    let arguments = Array::new();
    for number in sizes.into_iter().chain(pointers) {
        arguments.push(&JsValue::from(number as u32));
    }
    function.apply(&JsValue::NULL, &arguments).ok().map(drop)
}

unsafe fn product(job: &Job<'_>, c: &mut ViewMut<'_>) {
    let tiles = job.row_scales.len().div_ceil(ROWS);
    let panels = job.packed.rows.div_ceil(COLUMNS);
    SUMS.with_borrow_mut(|sums| {
        sums.resize(panels * tiles * ROWS * COLUMNS, 0);
        let (words, weights) = (job.words, job.packed.values.as_slice());
        LOADED.with(|loaded| {
            // A kernel that was handed out has been loaded, and the call has
            // nothing to fail of.
            if let Some(Some((function, _))) = loaded.get() {
                let _ = call(function, [job.steps, tiles, panels], words, weights, sums);
            }
        });
        let (words, weights) = (words.as_ptr(), weights.as_ptr());
        // SAFETY: `tile` only compares the pointers that it gets, both into
        // the arrays it compares them with.
        unsafe {
            job.run::<ROWS, COLUMNS, _>(c, <[i8]>::as_ptr, |x, w, out| {
                let tile = x.offset_from(words).unsigned_abs() / (job.steps * ROWS);
                let panel = w.offset_from(weights).unsigned_abs() / (job.steps * COLUMNS * 4);
                let at = (panel * tiles + tile) * ROWS * COLUMNS;
                out.as_flattened_mut()
                    .copy_from_slice(&sums[at..at + ROWS * COLUMNS]);
            });
        }
    });
}
