//! What the proxy calls: which context it is about, and what that is here.
//!
//! The VM exports what the plugin needs and nothing else: the proxy enters a VM only for
//! callbacks that it has, and each entry costs more than most of what is done in it. So a
//! stream's end is told by its deletion alone, which comes last and always, and messages come
//! without the metadata around them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::calls;

/// What becomes of what a filter was shown (`proxy_action_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// It goes on.
    Continue = 0,
    /// It is held.
    Pause = 1,
}

/// A plugin in a VM: the context that its configuration, time and its streams to other services
/// belong to.
pub trait Root {
    /// Its configuration can be read now. False: it cannot be used.
    fn configure(&mut self) -> bool;
    /// Time has passed.
    fn tick(&mut self);
    /// A message of so many bytes has come over a stream of its own and can be read now.
    fn message(&mut self, token: u32, size: usize);
    /// A stream of its own has ended.
    fn closed(&mut self, token: u32, status: u32);
    /// Somebody calls.
    fn stream(&self, context: u32) -> Box<dyn Stream>;
}

/// One call on its way through a filter.
pub trait Stream {
    /// The request has begun. `ends`: nothing follows.
    fn request_headers(&mut self, ends: bool) -> Action;
    /// So many bytes of its body can be read.
    fn request_body(&mut self, size: usize, ends: bool) -> Action;
    /// It has ended with trailers.
    fn request_trailers(&mut self) -> Action;
    /// The answer has begun.
    fn response_headers(&mut self, ends: bool) -> Action;
    /// So many bytes of its body can be read.
    fn response_body(&mut self, size: usize, ends: bool) -> Action;
    /// It has ended with trailers.
    fn response_trailers(&mut self) -> Action;
    /// It is over, one way or another. Nothing is called after this.
    fn over(&mut self);
}

/// Makes a plugin's root context, by its number.
pub(crate) type NewRoot = fn(u32) -> Box<dyn Root>;

/// Contexts have numbers that the proxy counts up: one multiplication spreads them.
#[derive(Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio (Knuth, "The Art of Computer Programming", 6.4).
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The contexts of this VM. Roots and streams apart: a stream's callback may end a stream of its
/// root, of which the proxy tells at once.
pub(crate) struct Contexts {
    new_root: Option<NewRoot>,
    roots: RefCell<Vec<(u32, Box<dyn Root>)>>,
    streams: RefCell<HashMap<u32, Box<dyn Stream>, BuildHasherDefault<ByNumber>>>,
}

impl Contexts {
    pub(crate) fn new(new_root: Option<NewRoot>) -> Self {
        Self {
            new_root,
            roots: RefCell::default(),
            streams: RefCell::default(),
        }
    }

    pub(crate) fn create(&self, context: u32, root: u32) {
        if root != 0 {
            let stream = self.at_root(root, |root| root.stream(context));
            if let Some(stream) = stream {
                self.streams.borrow_mut().insert(context, stream);
            }
        } else if let Some(new) = self.new_root {
            self.roots.borrow_mut().push((context, new(context)));
        }
    }

    pub(crate) fn delete(&self, context: u32) {
        let stream = self.streams.borrow_mut().remove(&context);
        match stream {
            Some(mut stream) => stream.over(),
            None => self.roots.borrow_mut().retain(|(id, _)| *id != context),
        }
    }

    /// None: there is no such root.
    pub(crate) fn at_root<T>(&self, id: u32, act: impl FnOnce(&mut dyn Root) -> T) -> Option<T> {
        let mut roots = self.roots.borrow_mut();
        let (_, root) = roots.iter_mut().find(|(known, _)| *known == id)?;
        Some(act(root.as_mut()))
    }

    /// A call of which nothing is known does not pass.
    pub(crate) fn at_stream(&self, id: u32, act: impl FnOnce(&mut dyn Stream) -> Action) -> Action {
        let mut streams = self.streams.borrow_mut();
        let Some(stream) = streams.get_mut(&id) else {
            drop(streams);
            log::error!("the proxy calls a context that it has not made");
            if calls::reply(503, &[], b"").is_err() {
                log::error!("the call cannot be answered");
            }
            return Action::Pause;
        };
        act(stream.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    type Told = Rc<RefCell<Vec<String>>>;

    struct Plugin {
        told: Told,
    }

    impl Root for Plugin {
        fn configure(&mut self) -> bool {
            true
        }
        fn tick(&mut self) {
            self.told.borrow_mut().push("tick".to_owned());
        }
        fn message(&mut self, _: u32, _: usize) {}
        fn closed(&mut self, _: u32, _: u32) {}
        fn stream(&self, context: u32) -> Box<dyn Stream> {
            let told = Rc::clone(&self.told);
            Box::new(Call { context, told })
        }
    }

    struct Call {
        context: u32,
        told: Told,
    }

    impl Stream for Call {
        fn request_headers(&mut self, _: bool) -> Action {
            let line = format!("request {}", self.context);
            self.told.borrow_mut().push(line);
            Action::Continue
        }
        fn request_body(&mut self, _: usize, _: bool) -> Action {
            Action::Continue
        }
        fn request_trailers(&mut self) -> Action {
            Action::Continue
        }
        fn response_headers(&mut self, _: bool) -> Action {
            Action::Continue
        }
        fn response_body(&mut self, _: usize, _: bool) -> Action {
            Action::Continue
        }
        fn response_trailers(&mut self) -> Action {
            Action::Continue
        }
        fn over(&mut self) {
            let line = format!("over {}", self.context);
            self.told.borrow_mut().push(line);
        }
    }

    std::thread_local! {
        static TOLD: Told = Told::default();
    }

    fn contexts() -> Contexts {
        Contexts::new(Some(|_| {
            Box::new(Plugin {
                told: TOLD.with(Rc::clone),
            })
        }))
    }

    #[test]
    fn each_callback_reaches_its_context() {
        let contexts = contexts();
        contexts.create(1, 0);
        contexts.create(7, 1);
        contexts.create(8, 1);
        assert_eq!(contexts.at_root(1, |root| root.tick()), Some(()));
        let begin = |id| contexts.at_stream(id, |stream| stream.request_headers(true));
        assert_eq!(begin(8), Action::Continue);
        contexts.delete(7);
        contexts.delete(1);
        assert_eq!(contexts.at_root(1, |root| root.tick()), None);
        TOLD.with(|told| assert_eq!(*told.borrow(), ["tick", "request 8", "over 7"]));
    }

    #[test]
    fn a_call_that_nobody_knows_does_not_pass() {
        let contexts = contexts();
        contexts.create(7, 1);
        let passed = contexts.at_stream(7, |stream| stream.request_headers(true));
        assert_eq!(passed, Action::Pause, "its root is not there");
    }
}
