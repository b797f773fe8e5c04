//! All vectors of a model in one piece of memory, and the search over them.
//!
//! Vectors are of unit length, so that the dot product is the cosine. Components are bfloat16: the
//! upper half of an `f32`, which costs one shift to read and half the memory and bandwidth, and moves
//! a cosine by less than 0.001 (see the test).

use std::collections::HashMap;

use memory_core::EpisodeId;
use memory_core::recall::Nearest;
use memory_storage_turso::vectors::StoredVector;

/// Products summed side by side: a multiple of every register's width, so that the compiler uses them.
const LANES: usize = 16;

/// Steps from -1 to 1 in which similarities are counted to find their median.
const STEPS: usize = 4096;

/// Vectors in memory, searched exactly.
#[derive(Debug)]
pub struct Matrix {
    /// Components of a vector; 0 until there is one.
    dimensions: usize,
    components: Vec<u16>,
    rows: Vec<Row>,
    places: HashMap<EpisodeId, usize>,
    projects: HashMap<String, u32>,
    max_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    episode: EpisodeId,
    project: u32,
    n: u64,
}

impl Matrix {
    /// An empty one. With more than `max_bytes` of components, the vectors that were written first make
    /// room.
    pub fn new(max_bytes: usize) -> Self {
        Matrix {
            dimensions: 0,
            components: Vec::new(),
            rows: Vec::new(),
            places: HashMap::new(),
            projects: HashMap::new(),
            max_bytes,
        }
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Components of a vector; 0 while there is none.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Matrix::new(self.max_bytes);
    }

    /// Takes in a vector, in the place of an earlier one of the same episode. False: it has another
    /// number of components than those before, so it is not comparable with them.
    pub fn put(&mut self, stored: &StoredVector) -> bool {
        let dimensions = stored.vector.len() / 2;
        if dimensions == 0 || !stored.vector.len().is_multiple_of(2) {
            return false;
        }
        if self.rows.is_empty() {
            self.dimensions = dimensions;
        }
        if dimensions != self.dimensions {
            return false;
        }
        let next = u32::try_from(self.projects.len()).unwrap_or(u32::MAX);
        let project = match self.projects.get(&stored.project) {
            Some(known) => *known,
            None => *self.projects.entry(stored.project.clone()).or_insert(next),
        };
        let row = Row { episode: stored.episode, project, n: stored.n };
        let (pairs, _) = stored.vector.as_chunks::<2>();
        let components = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
        match self.places.get(&stored.episode) {
            Some(&place) => {
                let start = place * dimensions;
                let old = self.components.get_mut(start..start + dimensions);
                old.into_iter().flatten().zip(components).for_each(|(old, new)| *old = new);
                if let Some(old) = self.rows.get_mut(place) {
                    *old = row;
                }
            }
            None => {
                self.places.insert(stored.episode, self.rows.len());
                self.rows.push(row);
                self.components.extend(components);
            }
        }
        true
    }

    /// Takes out the vector of an episode, if there is one.
    pub fn remove(&mut self, episode: EpisodeId) {
        let Some(place) = self.places.remove(&episode) else { return };
        let last = self.rows.len() - 1;
        self.rows.swap_remove(place);
        let tail = last * self.dimensions..self.components.len();
        self.components.copy_within(tail, place * self.dimensions);
        self.components.truncate(last * self.dimensions);
        if let Some(moved) = self.rows.get(place) {
            self.places.insert(moved.episode, place);
        }
    }

    /// Makes room where there is too much, for some time to come.
    pub fn shrink(&mut self) {
        let bytes = self.components.len() * 2;
        if bytes <= self.max_bytes {
            return;
        }
        let keep = self.max_bytes / 10 * 9 / (self.dimensions * 2).max(1);
        let mut numbers: Vec<u64> = self.rows.iter().map(|row| row.n).collect();
        let dropped = numbers.len().saturating_sub(keep).max(1);
        let (_, newest_dropped, _) = numbers.select_nth_unstable(dropped - 1);
        let newest_dropped = *newest_dropped;
        let old = self.rows.iter().filter(|row| row.n <= newest_dropped);
        for episode in old.map(|row| row.episode).collect::<Vec<_>>() {
            self.remove(episode);
        }
    }

    /// The `limit` vectors of a project, or of all, that are nearest to `query`, which has unit length
    /// and as many components. Looks at every one of them.
    pub fn nearest(&self, query: &[f32], project: Option<&str>, limit: usize) -> Nearest {
        let project = match project {
            None => None,
            Some(name) => match self.projects.get(name) {
                Some(number) => Some(*number),
                None => return Nearest::default(),
            },
        };
        let (mut best, mut seen) = (Best::new(limit), Seen::new());
        let rows = self.rows.iter().zip(self.components.chunks_exact(self.dimensions.max(1)));
        for (row, components) in rows {
            if project.is_none_or(|project| project == row.project) {
                let similarity = dot(components, query);
                seen.add(similarity);
                best.add(similarity, row.episode);
            }
        }
        let (middle, spread) = seen.middle_and_spread();
        Nearest { hits: best.done(), compared: seen.count, middle, spread }
    }
}

/// The sum of the products, in parts that do not wait for each other.
fn dot(components: &[u16], query: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (blocks, rest) = components.as_chunks::<LANES>();
    let (query_blocks, query_rest) = query.as_chunks::<LANES>();
    for (block, query) in blocks.iter().zip(query_blocks) {
        for ((sum, component), q) in sums.iter_mut().zip(block).zip(query) {
            *sum += widened(*component) * q;
        }
    }
    let rest = rest.iter().zip(query_rest).map(|(component, q)| widened(*component) * q);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

fn widened(component: u16) -> f32 {
    f32::from_bits(u32::from(component) << 16)
}

/// A vector brought to unit length; `None` where it has no direction.
pub fn normalized(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    let unit = (length.is_finite() && length > 0.0).then_some(1.0 / length)?;
    Some(vector.iter().map(|x| (f64::from(*x) * unit) as f32).collect())
}

/// A vector as it is stored: bfloat16, little-endian, rounded to the nearest, ties to even.
pub fn stored(vector: &[f32]) -> Vec<u8> {
    let narrow = |x: &f32| {
        let bits = x.to_bits();
        let rounding = 0x7FFF + ((bits >> 16) & 1);
        ((bits.wrapping_add(rounding) >> 16) as u16).to_le_bytes()
    };
    vector.iter().flat_map(narrow).collect()
}

/// The best so far: at least `limit` of them, and never more than twice as many.
struct Best {
    limit: usize,
    least: f32,
    found: Vec<(f32, EpisodeId)>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Best { limit: limit.max(1), least: f32::MIN, found: Vec::with_capacity(2 * limit) }
    }

    fn add(&mut self, similarity: f32, episode: EpisodeId) {
        if similarity > self.least {
            self.found.push((similarity, episode));
            if self.found.len() >= 2 * self.limit {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        self.found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        self.found.truncate(self.limit);
        if self.found.len() == self.limit {
            self.least = self.found.last().map_or(f32::MIN, |worst| worst.0);
        }
    }

    fn done(mut self) -> Vec<(EpisodeId, f64)> {
        self.cut();
        self.found.into_iter().map(|(similarity, id)| (id, f64::from(similarity))).collect()
    }
}

/// How similarities are distributed.
struct Seen {
    steps: Vec<u32>,
    count: u64,
}

impl Seen {
    fn new() -> Self {
        Seen { steps: vec![0; STEPS], count: 0 }
    }

    fn add(&mut self, similarity: f32) {
        let step = ((similarity + 1.0) * (STEPS as f32 / 2.0)) as usize;
        if let Some(count) = self.steps.get_mut(step.min(STEPS - 1)) {
            *count += 1;
        }
        self.count += 1;
    }

    /// The median, and the standard deviation of what is below it.
    fn middle_and_spread(&self) -> (f64, f64) {
        let value = |step: usize| (step as f64 + 0.5) / (STEPS as f64 / 2.0) - 1.0;
        let (mut below, mut middle) = (0u64, 0.0);
        for (step, count) in self.steps.iter().enumerate() {
            below += u64::from(*count);
            if 2 * below >= self.count.max(1) {
                middle = value(step);
                break;
            }
        }
        let (mut squares, mut counted) = (0.0, 0u64);
        for (step, count) in self.steps.iter().enumerate() {
            let off = value(step) - middle;
            if off > 0.0 {
                break;
            }
            squares += f64::from(*count) * off * off;
            counted += u64::from(*count);
        }
        (middle, (squares / counted.max(1) as f64).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use memory_testkit::generate::Random;

    use super::*;

    const DIMENSIONS: usize = 384;

    fn id(n: u64) -> EpisodeId {
        EpisodeId::derive(&[&n.to_le_bytes()])
    }

    /// About normally distributed components, scaled to unit length: the hardest case, because
    /// nothing is near anything.
    fn random_vector(random: &mut Random) -> Vec<f32> {
        let component = |random: &mut Random| {
            (0..12).map(|_| random.below(1 << 20) as f32 / (1 << 20) as f32).sum::<f32>() - 6.0
        };
        normalized(&(0..DIMENSIONS).map(|_| component(random)).collect::<Vec<_>>()).unwrap()
    }

    fn vector(n: u64, project: &str, components: &[f32]) -> StoredVector {
        StoredVector { n, episode: id(n), project: project.into(), vector: stored(components) }
    }

    fn exact(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    #[test]
    fn sixteen_bits_find_what_thirty_two_bits_find() {
        let mut random = Random::new(7);
        let vectors: Vec<_> = (0..5000).map(|_| random_vector(&mut random)).collect();
        let mut matrix = Matrix::new(usize::MAX);
        for (n, components) in vectors.iter().enumerate() {
            assert!(matrix.put(&vector(n as u64, "p", components)));
        }
        let (mut same, mut worst) = (0, 0.0f64);
        for _ in 0..100 {
            let query = random_vector(&mut random);
            let mut all: Vec<_> =
                (0..).zip(&vectors).map(|(n, v)| (exact(v, &query), id(n))).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0));
            let found = matrix.nearest(&query, None, 10);
            assert_eq!((found.hits.len(), found.compared), (10, 5000));
            for (id, similarity) in &found.hits {
                same += usize::from(all[..10].iter().any(|(_, other)| other == id));
                let (right, _) = all.iter().find(|(_, other)| other == id).unwrap();
                worst = worst.max((right - similarity).abs());
            }
        }
        println!("{same} of 1000 are among the exact ten; a cosine is off by {worst:.6} at most");
        assert!(same >= 980 && worst < 0.001, "{same}, {worst}");
    }

    #[test]
    fn the_background_is_what_most_vectors_are_like() {
        let mut random = Random::new(3);
        let mut matrix = Matrix::new(usize::MAX);
        for n in 0..2000 {
            matrix.put(&vector(n, "p", &random_vector(&mut random)));
        }
        let query = random_vector(&mut random);
        for n in 2000..2100 {
            matrix.put(&vector(n, "p", &query));
        }
        let found = matrix.nearest(&query, Some("p"), 200);
        assert!(found.middle.abs() < 0.02, "{}", found.middle);
        // Of random directions in d dimensions it is 1 / sqrt(d), here 0.051.
        assert!((0.04..0.06).contains(&found.spread), "{}", found.spread);
        assert!(found.hits[..100].iter().all(|(_, similarity)| *similarity > 0.99));
    }

    #[test]
    fn what_is_replaced_removed_or_of_another_project_is_not_found() {
        let axis = |place: usize| {
            let mut components = vec![0.0f32; 20];
            components[place] = 1.0;
            components
        };
        let mut matrix = Matrix::new(usize::MAX);
        for n in 0..10u8 {
            matrix.put(&vector(n.into(), if n < 5 { "a" } else { "b" }, &axis(n.into())));
        }
        let best = |matrix: &Matrix, place, project| {
            let (id, similarity) = matrix.nearest(&axis(place), project, 1).hits[0];
            (similarity > 0.99).then_some(id)
        };
        assert_eq!(best(&matrix, 7, None), Some(id(7)));
        assert_eq!(best(&matrix, 7, Some("b")), Some(id(7)));
        assert_eq!(best(&matrix, 7, Some("a")), None);
        assert!(matrix.nearest(&axis(7), Some("c"), 1).hits.is_empty());
        matrix.remove(id(7));
        matrix.remove(id(7));
        assert_eq!((best(&matrix, 7, None), matrix.len()), (None, 9));
        assert_eq!(best(&matrix, 9, None), Some(id(9)), "it was moved into the gap");
        matrix.put(&vector(9, "a", &axis(7)));
        assert_eq!(best(&matrix, 7, Some("a")), Some(id(9)));
        assert!(!matrix.put(&vector(11, "a", &[1.0; 3])), "another model's");
        for n in (0..10).filter(|n| *n != 7) {
            matrix.remove(id(n));
        }
        assert!(matrix.is_empty() && matrix.nearest(&axis(1), None, 3).hits.is_empty());
        assert!(matrix.put(&vector(11, "a", &[1.0; 3])), "nothing is there to compare it with");
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stay() {
        let mut matrix = Matrix::new(100 * 20 * 2);
        for n in 0..250 {
            matrix.put(&vector(n, "p", &[0.5; 20]));
            matrix.shrink();
            assert!(matrix.len() <= 100);
        }
        let kept = matrix.nearest(&[0.5; 20], None, 100).hits;
        assert!(kept.iter().any(|(kept, _)| *kept == id(249)) && kept.len() >= 90);
        assert!(kept.iter().all(|(kept, _)| (150..250).any(|n| id(n) == *kept)));
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        assert!(normalized(&[0.0, 0.0]).is_none() && normalized(&[f32::NAN]).is_none());
        assert!(normalized(&[]).is_none() && normalized(&[f32::INFINITY, 1.0]).is_none());
        assert_eq!(normalized(&[3.0, 4.0]).unwrap(), [0.6, 0.8]);
    }
}
