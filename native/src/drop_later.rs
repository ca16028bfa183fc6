//! Values that JavaScript's garbage collector may let go of at any moment, but that take long to free.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::pool;

/// Drops its value on the work lane.
pub struct DropLater<T: Send + 'static>(ManuallyDrop<T>);

impl<T: Send + 'static> DropLater<T> {
    pub fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }
}

impl<T: Send + 'static> Deref for DropLater<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Send + 'static> Drop for DropLater<T> {
    fn drop(&mut self) {
        // SAFETY: the value is taken here and nowhere else, and nothing can use it after this.
        let value = unsafe { ManuallyDrop::take(&mut self.0) };
        pool::drop_later(value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;

    struct Tells(Sender<ThreadId>);

    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    #[test]
    fn the_value_is_dropped_once_and_elsewhere() {
        let (sender, receiver) = channel();
        drop(DropLater::new(Tells(sender)));
        let thread = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_ne!(thread, thread::current().id());
        assert!(receiver.recv().is_err());
    }
}
