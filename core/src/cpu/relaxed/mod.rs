//! WebAssembly's relaxed SIMD where the browser has it: a module of its own in
//! this one's memory, see `module.rs`.

use std::cell::OnceCell;

use js_sys::{Array, Function, Object, Reflect, Uint8Array, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};

/// A function of the module.
#[derive(Debug, Clone, Copy)]
pub(super) enum Export {
    /// `sum_bytes`.
    Bytes,
    /// `sum_nibbles`.
    Nibbles,
}

/// The functions in the order of [`Export`].
type Functions = [Function; 2];

thread_local! {
    static LOADED: OnceCell<Option<Functions>> = const { OnceCell::new() };
}

fn load() -> Option<Functions> {
    let bytes = Uint8Array::from(&include_bytes!("module.wasm")[..]);
    let module = WebAssembly::Module::new(&bytes).ok()?;
    let (imports, env) = (Object::new(), Object::new());
    Reflect::set(&env, &"memory".into(), &wasm_bindgen::memory()).ok()?;
    Reflect::set(&imports, &"env".into(), &env).ok()?;
    let instance = WebAssembly::Instance::new(&module, &imports).ok()?;
    let function = |name: &str| -> Option<Function> {
        let function = Reflect::get(&instance.exports(), &name.into()).ok()?;
        function.dyn_into().ok()
    };
    Some([function("sum_bytes")?, function("sum_nibbles")?])
}

/// Calls a function of the module; `None` if there is no such module here.
///
/// # Safety
/// The arguments must be sizes and exposed addresses, as the function says.
pub(super) unsafe fn call(export: Export, arguments: &[usize]) -> Option<()> {
    LOADED.with(|loaded| {
        let function = &loaded.get_or_init(load).as_ref()?[export as usize];
        let array = Array::new();
        for &number in arguments {
            array.push(&JsValue::from(number as u32));
        }
        function.apply(&JsValue::NULL, &array).ok().map(drop)
    })
}
