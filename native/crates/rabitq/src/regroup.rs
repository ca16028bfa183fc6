//! Keeping the lists of a grouped index in shape while rows come and go.
//!
//! Only what changed is made anew: rows from outside the lists join those nearest to them, or found lists of their own if
//! they are far from all; lists that have outgrown the others are split, those that are new rows for the most part move to
//! where these are, lists that have shrunk are dissolved, and rows
//! around a change are looked at again, as in `SPFresh` (Xu et al., SOSP 2023, arXiv 2410.14452). All other codes are copied.

use rayon::prelude::*;

use crate::assign::Assigner;
use crate::build::{Center, Shape};
use crate::columns::Known;
use crate::ivf::{self, Centroids, MIN_LIST, SAMPLE_PER_LIST, wanted_lists};
use crate::kmeans;
use crate::lists::Lists;
use crate::pack::BLOCK;
use crate::state::State;
use crate::table::Table;
use crate::{Control, Result};

/// A list of more than this many times the mean is split.
const SPLIT: f64 = 2.0;

/// A list of less than this share of the mean is dissolved.
const DISSOLVE: f64 = 0.25;

/// Rows this much farther from their centroid, in squared distance, than others are from theirs found lists of their own.
const STRANGE: f64 = 1.5;

/// Strangers may have been here before, in less than a list's number: lists in which they are this share, as a divisor, are
/// looked at again.
const STRANGER_SHARE: usize = 8;

/// Rows of which the usual distance from a centroid is taken.
const SPREAD_ROWS: usize = 1024;

/// Lists around a split whose rows may be nearer to one of the new centroids.
const NEIGHBOURS: usize = 8;

impl Shape {
    /// The same rows, all of them in lists, none of them deleted.
    pub(crate) fn regrouped(&self, state: &State, control: Control<'_>) -> Result<State> {
        let table = Table::of(state, None, self.options.dimensions)?;
        let grouped = state.parts.first().map(|live| &*live.part);
        let (Some(bits), Some(part)) = (self.options.effective_bits(), grouped) else {
            return self.state(table, control);
        };
        let (Some(lists), Some(codes)) = (&part.lists, &part.codes) else {
            return self.state(table, control);
        };
        if table.ids.is_empty() {
            return self.state(table, control);
        }

        let center = &*state.center;
        let before = Before::new(lists, &state.parts[0].live_rows()?)?;
        let mut own = before.lists.clone();
        let assigner = Assigner::new(self, lists.offsets.all()?, control)?;
        let newcomers: Vec<u32> = (own.len() as u32..table.norms.len() as u32).collect();
        let nearest = ivf::assign(self, center, &assigner, &table, &newcomers, control)?;
        drop(assigner);
        let far = STRANGE * self.spread(center, lists, &table, &before.lists)?;
        let strange = nearest
            .iter()
            .map(|&(_, distance)| f64::from(distance) > far);
        let mut strange: Vec<bool> = std::iter::repeat_n(false, own.len())
            .chain(strange)
            .collect();
        if strange.iter().filter(|strange| **strange).count() < MIN_LIST {
            strange.fill(false);
        }
        own.extend(nearest.into_iter().map(|(list, _)| list));

        let plan = self.plan(
            center,
            lists,
            &table,
            (&own, &strange, before.lists.len()),
            control,
        )?;
        let settled = own.iter().map(|&list| plan.renamed[list as usize]);
        let mut settled: Vec<u32> = settled.collect();
        let moving: Vec<u32> = (0..own.len() as u32)
            .filter(|&row| strange[row as usize] || plan.disturbed[own[row as usize] as usize])
            .collect();
        if !moving.is_empty() {
            let assigner = Assigner::new(self, &plan.offsets, control)?;
            let nearest = ivf::assign(self, center, &assigner, &table, &moving, control)?;
            for (&row, (list, _)) in moving.iter().zip(nearest) {
                settled[row as usize] = list;
            }
        }
        let known: Vec<(u32, u32)> = settled
            .iter()
            .enumerate()
            .map(|(row, &list)| match before.places.get(row) {
                Some(&place) if plan.renamed[before.lists[row] as usize] == list => place,
                _ => Known::NONE,
            })
            .collect();
        let known = Known {
            codes,
            rows: &known,
        };
        let centroids = Centroids::new(self, center, bits, plan.offsets);
        let known = Some(&known);
        let part = ivf::arrange(
            self, center, bits, centroids, table, settled, known, control,
        )?;
        Ok(state.with_only(part))
    }

    /// Mean squared distance of rows from the centroid of their list.
    fn spread(
        &self,
        center: &Center,
        lists: &Lists,
        table: &Table<'_>,
        own: &[u32],
    ) -> Result<f64> {
        let (width, offsets) = (self.rotation.padded(), lists.offsets.all()?);
        let mut rotated = vec![0.0; width];
        let (mut sum, mut count) = (0.0, 0);
        for row in (0..own.len()).step_by(own.len().div_ceil(SPREAD_ROWS).max(1)) {
            let (norm, at) = (table.norms[row], own[row] as usize * width);
            table.vectors.with(row, |vector| {
                self.rotate(center, vector, norm, &mut rotated);
            })?;
            let offset = &offsets[at..at + width];
            sum += f64::from(simd::kernels().l2_squared(&rotated, offset));
            count += 1;
        }
        Ok(sum / f64::from(count.max(1)))
    }

    /// Which lists are split or dissolved, which come from strangers, and the centroids afterwards. `own` has the list of each
    /// row, the `settled` rows before the newcomers.
    fn plan(
        &self,
        center: &Center,
        lists: &Lists,
        table: &Table<'_>,
        (own, strange, settled): (&[u32], &[bool], usize),
        control: Control<'_>,
    ) -> Result<Plan> {
        let (width, offsets) = (self.rotation.padded(), lists.offsets.all()?);
        let mut members: Vec<Vec<u32>> = vec![vec![]; lists.count()];
        let mut strangers = vec![];
        let mut strangers_in = vec![0; lists.count()];
        for (row, &list) in own.iter().enumerate() {
            if strange[row] {
                strangers.push(row as u32);
                strangers_in[list as usize] += 1;
            } else {
                members[list as usize].push(row as u32);
            }
        }
        let mean = own.len() as f64 / wanted_lists(&self.options, own.len()) as f64;
        let most = (SPLIT * mean).max(2.0 * MIN_LIST as f64);
        let largest = members.iter().map(Vec::len).max().unwrap_or(0);
        let large = |list: &usize| members[*list].len() as f64 > most;
        // Rows are in insertion order, newcomers last: where they are most of a list, its middle is elsewhere now.
        let young = |list: &usize| {
            let members = &members[*list];
            let middle = members.get(members.len() / 2);
            middle.is_some_and(|&row| row as usize >= settled)
        };
        // The largest stays, so that some list does.
        let small = |list: &usize| {
            let size = members[*list].len();
            (size as f64) < DISSOLVE * mean && size < largest
        };

        let mut plan = Plan {
            renamed: vec![Plan::GONE; members.len()],
            disturbed: vec![false; members.len()],
            offsets: vec![],
        };
        for list in 0..members.len() {
            plan.disturbed[list] = strangers_in[list] * STRANGER_SHARE > members[list].len();
            if large(&list) || young(&list) || small(&list) {
                plan.disturbed[list] = true;
            } else {
                plan.renamed[list] = (plan.offsets.len() / width) as u32;
                plan.offsets
                    .extend_from_slice(&offsets[list * width..(list + 1) * width]);
            }
        }
        let points = |rows: &[u32]| -> Result<Vec<f32>> {
            let mut points = vec![0.0; rows.len() * width];
            for (&row, point) in rows.iter().zip(points.chunks_exact_mut(width)) {
                let (row, norm) = (row as usize, table.norms[row as usize]);
                table
                    .vectors
                    .with(row, |vector| self.rotate(center, vector, norm, point))?;
            }
            Ok(points)
        };
        let lists_for = |rows: usize| (rows as f64 / mean).round() as usize;
        let anew = |list: &usize| large(list) || young(list) && !small(list);
        let splits: Vec<usize> = (0..members.len()).filter(anew).collect();
        let parts: Vec<Vec<f32>> = splits
            .par_iter()
            .map(|&list| {
                let members = &members[list];
                let count = lists_for(members.len()).max(1 + usize::from(large(&list)));
                let seed = self.options.seed ^ (list as u64 + 1);
                kmeans::lloyd(&points(members)?, width, count, seed, control)
            })
            .collect::<Result<_>>()?;
        plan.offsets.extend(parts.into_iter().flatten());
        for list in splits {
            plan.disturb_around(list, offsets, width);
        }
        if !strangers.is_empty() {
            let count = lists_for(strangers.len()).max(1);
            let step = strangers.len().div_ceil(count * SAMPLE_PER_LIST).max(1);
            let sample: Vec<u32> = strangers.into_iter().step_by(step).collect();
            let seed = self.options.seed;
            let found = kmeans::train(&points(&sample)?, width, count, seed, control)?;
            plan.offsets.extend(found);
        }
        Ok(plan)
    }
}

/// The rows that were in lists already.
struct Before {
    /// List of each, in insertion order.
    lists: Vec<u32>,
    /// Number and slot of each.
    places: Vec<(u32, u32)>,
}

impl Before {
    fn new(lists: &Lists, live: &[usize]) -> Result<Self> {
        let (starts, blocks) = (lists.starts.all()?, lists.blocks.all()?);
        let mut list_of = vec![0u32; lists.order.len()];
        for (list, pair) in starts.windows(2).enumerate() {
            list_of[pair[0] as usize..pair[1] as usize].fill(list as u32);
        }
        let own: Vec<u32> = live.iter().map(|&row| list_of[row]).collect();
        let places = live.iter().zip(&own).map(|(&row, &list)| {
            let list = list as usize;
            let slot = blocks[list] as usize * BLOCK + row - starts[list] as usize;
            (row as u32, slot as u32)
        });
        Ok(Self {
            places: places.collect(),
            lists: own,
        })
    }
}

/// What becomes of each list.
struct Plan {
    /// Its number afterwards.
    renamed: Vec<u32>,
    /// Whether its rows look for the nearest list anew.
    disturbed: Vec<bool>,
    /// The centroids afterwards.
    offsets: Vec<f32>,
}

impl Plan {
    const GONE: u32 = u32::MAX;

    fn disturb_around(&mut self, split: usize, offsets: &[f32], width: usize) {
        let kernels = simd::kernels();
        let middle = &offsets[split * width..(split + 1) * width];
        let mut near: Vec<(f32, usize)> = offsets
            .chunks_exact(width)
            .enumerate()
            .map(|(list, offset)| (kernels.l2_squared(middle, offset), list))
            .collect();
        let count = NEIGHBOURS.min(near.len() - 1);
        near.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for &(_, list) in &near[..=count] {
            self.disturbed[list] = true;
        }
    }
}
