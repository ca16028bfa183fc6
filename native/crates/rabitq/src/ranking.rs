//! Ranking rows by the estimates of their whole codes, where no raw vectors are kept.

use simd::Pick;

use crate::Result;
use crate::bounds::Bounds;
use crate::coded::Coded;
use crate::scan::Span;
use crate::topk::TopK;

/// Offers `top` the rows of a span; ranks are estimates. Returns how many whole codes were looked at.
pub(crate) fn rank(
    coded: &Coded<'_>,
    span: &Span,
    (bounds, picks): (&mut Bounds, &mut Vec<Pick>),
    top: &mut TopK,
) -> Result<usize> {
    coded.scan.control.check()?;
    bounds.fill(coded, span)?;
    let push = |estimate: f32, pick: Pick, top: &mut TopK| {
        let row = span.row + pick.place as usize;
        coded.scan.push(f64::from(estimate), row, top)
    };
    bounds.take_best(top.capacity(), top.limit() as f32, picks);
    let mut refined = picks.len();
    if coded.signs_only() {
        for &pick in picks.iter() {
            push(bounds.estimate(pick.place), pick, top)?;
        }
        return Ok(refined);
    }
    for &pick in picks.iter() {
        push(coded.refine(span, pick)?.0, pick, top)?;
    }
    bounds.others((top.limit() as f32).min(f32::MAX), picks);
    for &pick in picks.iter() {
        if f64::from(bounds.lower(pick.place)) <= top.limit() {
            push(coded.refine(span, pick)?.0, pick, top)?;
            refined += 1;
        }
    }
    Ok(refined)
}
