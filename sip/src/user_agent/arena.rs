//! Places for what lives and dies: small numbers that are used again, with a count of their uses.

use std::convert::Infallible;

/// Boxed values under small numbers. A number is used again after its value is gone; the handle
/// that [`Arena::handle`] makes of it is not.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    /// How often the place was filled.
    uses: u32,
    value: Option<Box<T>>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Arena<T> {
    /// Fills a place with what `make` builds from its handle and its number.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u64, u32) -> T) -> u32 {
        let filled = self.try_insert(|handle, at| Ok::<T, Infallible>(make(handle, at)));
        match filled {
            Ok(at) => at,
            Err(never) => match never {},
        }
    }

    /// Fills a place with what `make` builds from its handle and its number, if it builds
    /// something.
    pub(crate) fn try_insert<E>(
        &mut self,
        make: impl FnOnce(u64, u32) -> Result<T, E>,
    ) -> Result<u32, E> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { uses: 0, value: None });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[at as usize];
        place.uses = place.uses.wrapping_add(1);
        match make(u64::from(place.uses) << 32 | u64::from(at), at) {
            Ok(value) => {
                place.value = Some(Box::new(value));
                Ok(at)
            }
            Err(error) => {
                self.free.push(at);
                Err(error)
            }
        }
    }

    /// Empties a place.
    pub(crate) fn remove(&mut self, at: u32) -> Option<Box<T>> {
        let value = self.places.get_mut(at as usize)?.value.take()?;
        self.free.push(at);
        Some(value)
    }

    /// The value at a place.
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.value.as_deref_mut()
    }

    /// The place of a handle, when its value still lives.
    pub(crate) fn place_of(&self, handle: u64) -> Option<u32> {
        let at = handle as u32;
        let place = self.places.get(at as usize)?;
        (place.uses == (handle >> 32) as u32 && place.value.is_some()).then_some(at)
    }

    /// The values, in the order of their places.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_deref())
    }

    /// The places that are filled, in order.
    pub(crate) fn places(&self) -> Vec<u32> {
        let filled = self.places.iter().enumerate().filter(|(_, place)| place.value.is_some());
        filled.map(|(at, _)| at as u32).collect()
    }

    /// How many places are filled.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
