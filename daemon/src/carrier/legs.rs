//! Every INVITE that the simulator knows, found by its branch, by its call and by what is due.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Index, IndexMut};
use std::time::Instant;

use super::leg::Leg;

/// Legs by place. A place is used again after its leg was forgotten.
#[derive(Debug, Default)]
pub(super) struct Legs {
    list: Vec<Option<Leg>>,
    free: Vec<usize>,
    by_branch: HashMap<Vec<u8>, Vec<usize>>,
    by_call: HashMap<Vec<u8>, Vec<usize>>,
    deadlines: BTreeSet<(Instant, usize)>,
    /// What `deadlines` holds for each place.
    armed: Vec<Option<Instant>>,
}

impl Legs {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len() - self.free.len()
    }

    /// Adds a leg.
    pub(super) fn push(&mut self, leg: Leg) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.list.push(None);
            self.armed.push(None);
            self.list.len() - 1
        });
        self.by_branch.entry(leg.branch.clone()).or_default().push(place);
        self.by_call.entry(leg.call_id.clone()).or_default().push(place);
        self.list[place] = Some(leg);
        self.rearm(place);
    }

    /// Forgets a leg.
    pub(super) fn remove(&mut self, place: usize) {
        let Some(leg) = self.list[place].take() else { return };
        forget(&mut self.by_branch, &leg.branch, place);
        forget(&mut self.by_call, &leg.call_id, place);
        if let Some(at) = self.armed[place].take() {
            self.deadlines.remove(&(at, place));
        }
        self.free.push(place);
    }

    /// The leg of this transaction.
    pub(super) fn of_branch(&self, branch: &[u8], call_id: &[u8]) -> Option<usize> {
        let places = self.by_branch.get(branch)?;
        places.iter().copied().find(|place| self[*place].call_id == call_id)
    }

    /// The leg of this dialog.
    pub(super) fn of_call(&self, call_id: &[u8], to_tag: &[u8]) -> Option<usize> {
        let places = self.by_call.get(call_id)?;
        places.iter().copied().find(|place| self[*place].tag.as_bytes() == to_tag)
    }

    /// When the next leg wants something.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A leg that wants something at `now`.
    pub(super) fn due(&self, now: Instant) -> Option<usize> {
        self.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, place)| *place)
    }

    /// Takes over what a leg that changed is due at.
    pub(super) fn rearm(&mut self, place: usize) {
        let at = self.list[place].as_ref().map(Leg::deadline);
        if let Some(before) = std::mem::replace(&mut self.armed[place], at) {
            self.deadlines.remove(&(before, place));
        }
        self.deadlines.extend(at.map(|at| (at, place)));
    }
}

impl Index<usize> for Legs {
    type Output = Leg;

    fn index(&self, place: usize) -> &Leg {
        self.list[place].as_ref().expect("a place is asked for while its leg is there")
    }
}

impl IndexMut<usize> for Legs {
    fn index_mut(&mut self, place: usize) -> &mut Leg {
        self.list[place].as_mut().expect("a place is asked for while its leg is there")
    }
}

fn forget(index: &mut HashMap<Vec<u8>, Vec<usize>>, key: &[u8], place: usize) {
    if let Some(places) = index.get_mut(key) {
        places.retain(|other| *other != place);
        if places.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::leg::{Due, Invite};
    use super::*;

    fn leg(now: Instant, nth: u32) -> Leg {
        let invite = Invite {
            call_id: format!("call-{}", nth / 2).into_bytes(),
            branch: format!("z9hG4bK-{nth}").into_bytes(),
            called: "+79160000000".to_owned(),
            request: Vec::new(),
            source: "127.0.0.1:5060".parse().unwrap(),
        };
        Leg::new(now, invite, format!("tag-{nth}"), format!("other-{nth}"))
    }

    #[test]
    fn each_leg_is_found_by_its_own_branch_and_dialog_until_it_is_forgotten() {
        let (now, mut legs) = (Instant::now(), Legs::default());
        for nth in 0..1_000 {
            legs.push(leg(now, nth));
        }
        let place = legs.of_branch(b"z9hG4bK-501", b"call-250").unwrap();
        assert_eq!(legs.of_call(b"call-250", b"tag-501"), Some(place));
        assert_ne!(legs.of_call(b"call-250", b"tag-500"), Some(place));
        assert_eq!(legs.of_branch(b"z9hG4bK-501", b"call-9"), None);
        legs.remove(place);
        assert_eq!((legs.of_branch(b"z9hG4bK-501", b"call-250"), legs.len()), (None, 999));
        legs.push(leg(now, 1_001));
        assert_eq!(legs.of_branch(b"z9hG4bK-1001", b"call-500"), Some(place));
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_each_once() {
        let (now, mut legs) = (Instant::now(), Legs::default());
        for nth in 0..3 {
            legs.push(leg(now + Duration::from_secs(nth.into()), nth));
        }
        let later = now + Duration::from_millis(1_500);
        let mut acted = Vec::new();
        while let Some(place) = legs.due(later) {
            if let Some(Due::Act(_)) = legs[place].due(later) {
                acted.push(legs[place].branch.clone());
            }
            legs.rearm(place);
        }
        acted.dedup();
        assert_eq!(acted, [b"z9hG4bK-0".to_vec(), b"z9hG4bK-1".to_vec()]);
        assert!(legs.next_deadline().unwrap() > later);
    }
}
