//! Vectors that stay small: most calls have one wait and a handful of events, and a million calls
//! should not pay for the four slots that a vector begins with.

pub(super) trait Tight<T> {
    /// Pushes; grows by one at first, by doubling later.
    fn push_tight(&mut self, item: T);
    /// Inserts; grows likewise.
    fn insert_tight(&mut self, at: usize, item: T);
}

impl<T> Tight<T> for Vec<T> {
    fn push_tight(&mut self, item: T) {
        let end = self.len();
        self.insert_tight(end, item);
    }

    fn insert_tight(&mut self, at: usize, item: T) {
        if self.len() == self.capacity() && self.len() < 4 {
            self.reserve_exact(1);
        }
        self.insert(at, item);
    }
}
