//! Matrix products of strided slices by the `gemm` crate, with bounds checked before.

/// A read-only matrix in a slice: element (r, c) is at `offset + r * row + c * column`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    offset: usize,
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, 0, [rows, columns], [columns, 1])
    }

    /// A matrix with its own strides.
    ///
    /// # Panics
    /// If an element is outside the slice.
    pub fn strided(data: &'a [f32], offset: usize, shape: [usize; 2], strides: [usize; 2]) -> Self {
        let [rows, columns] = shape;
        assert_inside(data.len(), offset, shape, strides);
        View { data, offset, rows, columns, row: strides[0], column: strides[1] }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        View { rows: self.columns, columns: self.rows, row: self.column, column: self.row, ..self }
    }
}

/// A writable matrix in a slice, laid out as a [`View`].
#[derive(Debug)]
pub struct ViewMut<'a> {
    data: &'a mut [f32],
    offset: usize,
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a> ViewMut<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, 0, [rows, columns], [columns, 1])
    }

    /// A matrix with its own strides.
    ///
    /// # Panics
    /// If an element is outside the slice.
    pub fn strided(data: &'a mut [f32], offset: usize, shape: [usize; 2], strides: [usize; 2]) -> Self {
        let [rows, columns] = shape;
        assert_inside(data.len(), offset, shape, strides);
        ViewMut { data, offset, rows, columns, row: strides[0], column: strides[1] }
    }
}

fn assert_inside(length: usize, offset: usize, [rows, columns]: [usize; 2], [row, column]: [usize; 2]) {
    if rows > 0 && columns > 0 {
        let last = offset + (rows - 1) * row + (columns - 1) * column;
        assert!(last < length, "matrix leaves its slice: {last} >= {length}");
    }
}

/// The threads of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread only.
    One,
    /// All threads, if the product has at least 128³ multiplications.
    All,
}

/// `out = alpha * a b`, or `out += alpha * a b` with `add`.
///
/// # Panics
/// If the shapes do not agree.
pub fn multiply(out: ViewMut, a: View, b: View, alpha: f32, add: bool, threads: Threads) {
    assert_eq!((a.rows, b.columns), (out.rows, out.columns), "shapes of a product");
    // SAFETY: the view checked on construction that all its elements are inside its slice, which is
    // borrowed mutably, so that nothing else reads or writes it.
    unsafe {
        let first = out.data.as_mut_ptr().add(out.offset);
        call(first, [out.row, out.column], a, b, alpha, add, threads);
    }
}

/// `a b` as a new row-major matrix. Its memory is not zeroed before the product writes it.
///
/// # Panics
/// If the shapes do not agree.
pub fn product(a: View, b: View, threads: Threads) -> Vec<f32> {
    let size = a.rows * b.columns;
    let mut out = Vec::with_capacity(size);
    // SAFETY: there is room for `size` elements, nothing else knows of them, and a product that does not
    // add writes every one of them without reading it.
    unsafe {
        call(out.as_mut_ptr(), [b.columns, 1], a, b, 1.0, false, threads);
        out.set_len(size);
    }
    out
}

/// # Safety
/// `out` must be the first element of a matrix of the product's shape with these strides of rows and columns,
/// which nothing else reads or writes; its elements must be initialized where `add` is set.
unsafe fn call(
    out: *mut f32,
    [row, column]: [usize; 2],
    a: View,
    b: View,
    alpha: f32,
    add: bool,
    threads: Threads,
) {
    assert_eq!(a.columns, b.rows, "shapes of a product");
    let work = a.rows * a.columns * b.columns;
    let parallelism = match threads {
        Threads::All if work >= 128 * 128 * 128 => gemm::Parallelism::Rayon(0),
        _ => gemm::Parallelism::None,
    };
    // SAFETY: both views checked on construction that all their elements are inside their slices, the
    // shapes agree, and `out` is valid by this function's contract.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out,
            column as isize,
            row as isize,
            add,
            a.data.as_ptr().add(a.offset),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr().add(b.offset),
            b.column as isize,
            b.row as isize,
            1.0,
            alpha,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_products_agree_with_the_definition() {
        let a: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..20).map(|i| (i as f32) / 7.0).collect();
        // a is the 2x3 matrix in columns 1.. of a 2x6 slice, b the transpose of 4x3 in 4x5.
        let left = View::strided(&a, 1, [2, 3], [6, 1]);
        let right = View::strided(&b, 0, [4, 3], [5, 1]).t();
        let mut out = vec![1.0; 8];
        multiply(ViewMut::new(&mut out, 2, 4), left, right, 2.0, true, Threads::One);
        for r in 0..2 {
            for c in 0..4 {
                let dot: f32 = (0..3).map(|k| a[1 + r * 6 + k] * b[c * 5 + k]).sum();
                assert!((out[r * 4 + c] - (1.0 + 2.0 * dot)).abs() < 1e-4);
                let plain = product(left, right, Threads::One)[r * 4 + c];
                assert!((plain - dot).abs() < 1e-4);
            }
        }
        // Sums over nothing are zero.
        let none = View::strided(&[], 0, [2, 0], [1, 1]);
        assert_eq!(product(none, none.t(), Threads::All), [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "leaves its slice")]
    fn a_view_outside_its_slice_is_refused() {
        View::strided(&[0.0; 5], 1, [2, 3], [3, 1]);
    }
}
