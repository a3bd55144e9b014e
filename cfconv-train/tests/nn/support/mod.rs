//! What the tests of operations and networks share.

pub(crate) mod layer_record;
pub(crate) mod training;

use cfconv_train::device::{Buffer, Device, Result, Span, SpanMut};
use cfconv_train::nn::{Backward, Forward};

/// One test for each check and device.
///
/// With the feature `cuda-emulation` the CUDA device's kernels and host side run on the host: in blocks of 32
/// threads, the threads of each block in both orders, and in blocks of 256 as on a card, from the last to the first.
/// With the feature `cuda` they run on a graphics card.
macro_rules! on_every_device {
    ($($check:ident),+ $(,)?) => {
        mod cpu {
            $(#[test]
            fn $check() {
                super::$check(&super::Cpu::default());
            })+
        }

        #[cfg(feature = "cuda-emulation")]
        mod emulated_cuda {
            $(#[test]
            fn $check() {
                $crate::support::if_emulated!(EmulatedCuda => {
                    super::$check(&EmulatedCuda::<32>::default());
                    super::$check(&EmulatedCuda::<32>::reversed());
                });
            })+
        }

        #[cfg(feature = "cuda-emulation")]
        mod emulated_cuda_of_a_cards_blocks {
            $(#[test]
            fn $check() {
                $crate::support::if_emulated!(EmulatedCuda => {
                    super::$check(&EmulatedCuda::<256>::reversed());
                });
            })+
        }

        #[cfg(feature = "cuda")]
        mod cuda {
            $(#[test]
            fn $check() {
                match cfconv_train::device::cuda::CudaDevice::try_new() {
                    Ok(device) => super::$check(&device),
                    Err(error) => $crate::skip::skip(error),
                }
            })+
        }
    };
}

/// One test for each check and device that computes matrix products in TF32; these kernels have blocks of 256 threads
/// on every device.
#[cfg(any(feature = "cuda", feature = "cuda-emulation"))]
macro_rules! on_tensor_cores {
    ($($check:ident),+ $(,)?) => {
        #[cfg(feature = "cuda-emulation")]
        mod emulated_tensor_cores {
            $(#[test]
            fn $check() {
                $crate::support::if_emulated!(EmulatedCuda => {
                    type Device = EmulatedCuda<32>;
                    super::$check(&Device::default(), &Device::default().with_tf32());
                    super::$check(&Device::reversed(), &Device::reversed().with_tf32());
                });
            })+
        }

        #[cfg(feature = "cuda")]
        mod tensor_cores {
            $(#[test]
            fn $check() {
                let device = cfconv_train::device::cuda::CudaDevice::try_new();
                match device.and_then(|device| Ok((device.clone(), device.with_tf32()?))) {
                    Ok((device, with_tf32)) => super::$check(&device, &with_tf32),
                    Err(error) => $crate::skip::skip(error),
                }
            })+
        }
    };
}

/// Runs the block where the kernels were compiled for the host, with the type of the device under the given name.
#[cfg(feature = "cuda-emulation")]
macro_rules! if_emulated {
    ($device:ident => $block:block) => {
        #[cfg(cuda_emulator)]
        {
            use cfconv_train::device::cuda::$device;
            $block
        }
        #[cfg(not(cuda_emulator))]
        $crate::skip::skip("no compiler for C++ was found when the kernels were to be compiled");
    };
}
#[cfg(feature = "cuda-emulation")]
pub(crate) use if_emulated;

/// Reproducible values in [−0.5, 0.5).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f64 / (1_u64 << 24) as f64 - 0.5) as f32
        })
        .collect()
}

/// A buffer with these values.
pub(crate) fn upload<D: Device>(device: &D, values: &[f32]) -> Buffer<D> {
    device.to_device(values).unwrap()
}

/// A buffer of NaN, for results.
pub(crate) fn unset<D: Device>(device: &D, len: usize) -> Buffer<D> {
    device.to_device(&vec![f32::NAN; len]).unwrap()
}

/// The whole buffer, to read.
pub(crate) fn all<'a, D: Device>(device: &D, buffer: &'a Buffer<D>) -> Span<'a, D> {
    Span::new(buffer, 0..device.buffer_len(buffer))
}

/// The whole buffer, to write.
pub(crate) fn all_mut<'a, D: Device>(device: &D, buffer: &'a mut Buffer<D>) -> SpanMut<'a, D> {
    let len = device.buffer_len(buffer);
    SpanMut::new(buffer, 0..len)
}

/// The values of a buffer.
pub(crate) fn host<D: Device>(device: &D, buffer: &Buffer<D>) -> Vec<f32> {
    device.to_host(all(device, buffer)).unwrap()
}

/// The operands of an operation on the host.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub(crate) batch: usize,
    pub(crate) input: &'a [f32],
    pub(crate) params: &'a [f32],
}

impl Operands<'_> {
    /// The output, written over NaN.
    #[track_caller]
    pub(crate) fn forward<D: Device>(
        &self,
        device: &D,
        output_len: usize,
        op: impl FnOnce(Forward<'_, D>) -> Result<()>,
    ) -> Vec<f32> {
        self.try_forward(device, output_len, op).unwrap()
    }

    pub(crate) fn try_forward<D: Device>(
        &self,
        device: &D,
        output_len: usize,
        op: impl FnOnce(Forward<'_, D>) -> Result<()>,
    ) -> Result<Vec<f32>> {
        let (input, params) = (filled(device, self.input), filled(device, self.params));
        let mut output = unset(device, output_len);
        op(Forward {
            batch: self.batch,
            input: Span::new(&input, 0..self.input.len()),
            params: Span::new(&params, 0..self.params.len()),
            output: all_mut(device, &mut output),
        })?;
        Ok(host(device, &output))
    }

    /// The gradients of the input, written over NaN, and of the parameters, added to `added_to`.
    #[track_caller]
    pub(crate) fn backward<D: Device>(
        &self,
        device: &D,
        grad_output: &[f32],
        added_to: f32,
        op: impl FnOnce(Backward<'_, D>) -> Result<()>,
    ) -> (Vec<f32>, Vec<f32>) {
        let (input, params) = (filled(device, self.input), filled(device, self.params));
        let grad_output = upload(device, grad_output);
        let mut grad_input = unset(device, self.input.len());
        let mut grad_params = filled(device, &vec![added_to; self.params.len()]);
        op(Backward {
            batch: self.batch,
            input: Some(Span::new(&input, 0..self.input.len())),
            params: Span::new(&params, 0..self.params.len()),
            grad_output: all(device, &grad_output),
            grad_input: Some(all_mut(device, &mut grad_input)),
            grad_params: SpanMut::new(&mut grad_params, 0..self.params.len()),
        })
        .unwrap();
        let mut grad_params = host(device, &grad_params);
        grad_params.truncate(self.params.len());
        (host(device, &grad_input), grad_params)
    }
}

/// A buffer that begins with these values and is never empty.
fn filled<D: Device>(device: &D, values: &[f32]) -> Buffer<D> {
    upload(device, if values.is_empty() { &[0.0] } else { values })
}

/// `[B, F]` to `[F, B]` and, with the numbers exchanged, back.
pub(crate) fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows;
    (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect()
}

/// The largest absolute value, at least `floor`; NaN if one of the values is: `f64::max` would leave it out.
pub(crate) fn largest(floor: f64, values: impl IntoIterator<Item = impl Into<f64>>) -> f64 {
    let sizes = values.into_iter().map(|value| value.into().abs());
    sizes.chain([floor]).max_by(f64::total_cmp).expect("there is the floor")
}

/// Checks that values agree to `tolerance` of the largest expected one.
#[track_caller]
pub(crate) fn assert_close(got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    let largest = largest(1e-3, expected.iter().copied());
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(got) - expected).abs();
        assert!(error <= tolerance * largest, "at {at}: {got} ≠ {expected} (largest {largest})");
    }
}
