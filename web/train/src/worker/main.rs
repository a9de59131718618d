//! The worker in which a network is trained: one leads and speaks with the
//! page, others that it starts compute a share of each batch. They are all
//! this program, told apart by their names.

#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod crew;
#[cfg(target_arch = "wasm32")]
mod follower;
#[cfg(target_arch = "wasm32")]
mod keep;
#[cfg(target_arch = "wasm32")]
mod leader;
#[cfg(target_arch = "wasm32")]
mod post;

fn main() {
    #[cfg(target_arch = "wasm32")]
    start();
}

/// Listens, and does what it is told.
#[cfg(target_arch = "wasm32")]
fn start() {
    use futures::channel::mpsc;
    use wasm_bindgen::prelude::*;
    use web_sys::MessageEvent;

    std::panic::set_hook(Box::new(|info| post::failed(&info.to_string())));
    let (sender, tasks) = mpsc::unbounded();
    let listen = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        // The receiver lives as long as the worker.
        drop(sender.unbounded_send(message.data()));
    });
    post::scope().set_onmessage(Some(listen.as_ref().unchecked_ref()));
    listen.forget();
    if post::is_follower() {
        wasm_bindgen_futures::spawn_local(follower::serve(tasks));
    } else {
        wasm_bindgen_futures::spawn_local(leader::serve(tasks));
        post::tell(None, hrm_train_room::message::News::Ready);
    }
}
