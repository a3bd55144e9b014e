//! Which networks give a kernel: what enters them, how many there are and which gives which value.

use serde::{Deserialize, Serialize};

use crate::{GridPoint, KernelGrid};

/// Which coordinates are inputs of an MLP, and how many MLPs a layer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameterization {
    /// Φ(h, w): one MLP for each pair of channels.
    Hw,
    /// Φ(h, w, i): one MLP for each output channel.
    HwCin,
    /// Φ(h, w, i, o): one MLP.
    #[default]
    HwCinCout,
    /// `K[h, w, i, o] = Σ_k C[i, o, k]·B_k(h, w)`: one MLP gives `basis_size` complex values at a frequency,
    /// learned real coefficients C mix them.
    SharedBasis,
}

/// A channel axis of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelAxis {
    /// Input channels.
    In,
    /// Output channels.
    Out,
}

/// What sets a parameterisation apart from the others.
struct Form {
    name: &'static str,
    inputs: &'static [ChannelAxis],
    /// Axes with a network for each channel.
    networks: &'static [ChannelAxis],
    shared_basis: bool,
}

impl Parameterization {
    /// Every parameterisation.
    pub const ALL: [Self; 4] = [Self::Hw, Self::HwCin, Self::HwCinCout, Self::SharedBasis];

    /// A new parameterisation is a line here, one above, and one in [`naive`](crate::naive).
    const fn form(self) -> Form {
        use ChannelAxis::{In, Out};
        let (name, inputs, networks, shared_basis): (_, &[_], &[_], _) = match self {
            Self::Hw => ("hw", &[], &[In, Out], false),
            Self::HwCin => ("hw-cin", &[In], &[Out], false),
            Self::HwCinCout => ("hw-cin-cout", &[In, Out], &[], false),
            Self::SharedBasis => ("shared-basis", &[], &[], true),
        };
        Form { name, inputs, networks, shared_basis }
    }

    /// The name in configuration files.
    pub const fn name(self) -> &'static str {
        self.form().name
    }

    /// The channel axes that are inputs of an MLP, in the order of its input features.
    pub const fn channel_inputs(self) -> &'static [ChannelAxis] {
        self.form().inputs
    }

    /// The channel axes that have an MLP for each channel; the MLPs are numbered with the last axis fastest.
    pub const fn network_axes(self) -> &'static [ChannelAxis] {
        self.form().networks
    }

    /// Whether learned coefficients mix complex basis functions, which the MLP gives at a frequency.
    pub const fn has_shared_basis(self) -> bool {
        self.form().shared_basis
    }

    /// Number of MLPs of a kernel on `grid`.
    ///
    /// # Examples
    /// ```
    /// use cfconv_mlp::{KernelGrid, Parameterization};
    ///
    /// let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 5 };
    /// assert_eq!(Parameterization::Hw.num_networks(&grid), 15);
    /// assert_eq!(Parameterization::HwCin.num_networks(&grid), 5);
    /// assert_eq!(Parameterization::SharedBasis.num_networks(&grid), 1);
    /// ```
    pub fn num_networks(self, grid: &KernelGrid) -> usize {
        self.network_axes().iter().map(|axis| axis.channels(grid)).product()
    }

    /// Tells which MLP gives the value at a position of `grid`.
    ///
    /// # Examples
    /// ```
    /// use cfconv_mlp::{GridPoint, KernelGrid, Parameterization};
    ///
    /// let grid = KernelGrid { height: 8, width: 8, in_channels: 3, out_channels: 5 };
    /// let position = grid.encode(GridPoint { h: 2, w: 4, i: 1, o: 3 });
    /// assert_eq!(Parameterization::Hw.network_of(&grid)(position), 1 * 5 + 3);
    /// assert_eq!(Parameterization::HwCin.network_of(&grid)(position), 3);
    /// assert_eq!(Parameterization::HwCinCout.network_of(&grid)(position), 0);
    /// ```
    pub fn network_of(self, grid: &KernelGrid) -> impl Fn(u32) -> usize + Copy + use<> {
        // Channels are the fastest indices of a position, so that those of several axes are one number.
        let step = self.network_axes().last().map_or(1, |axis| axis.step(grid)) as u32;
        let networks = self.num_networks(grid) as u32;
        move |position| (position / step % networks) as usize
    }
}

impl ChannelAxis {
    /// Number of channels on `grid`.
    pub const fn channels(self, grid: &KernelGrid) -> usize {
        match self {
            Self::In => grid.in_channels,
            Self::Out => grid.out_channels,
        }
    }

    /// Positions from one channel to the next.
    pub const fn step(self, grid: &KernelGrid) -> usize {
        match self {
            Self::In => grid.out_channels,
            Self::Out => 1,
        }
    }

    /// The channel of a point.
    #[inline(always)]
    pub(crate) const fn of(self, point: GridPoint) -> usize {
        match self {
            Self::In => point.i,
            Self::Out => point.o,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_numbered_by_their_channels_the_last_fastest() {
        let grid = KernelGrid { height: 5, width: 4, in_channels: 2, out_channels: 3 };
        for parameterization in Parameterization::ALL {
            let network_of = parameterization.network_of(&grid);
            let axes = parameterization.network_axes();
            for position in 0..grid.num_positions() as u32 {
                let point = grid.decode(position);
                let network =
                    axes.iter().fold(0, |network, axis| network * axis.channels(&grid) + axis.of(point));
                assert_eq!(network_of(position), network, "{parameterization:?} at {point:?}");
                assert!(network < parameterization.num_networks(&grid));
            }
        }
    }

    #[test]
    fn no_parameterization_lacks_a_network_for_a_channel() {
        for parameterization in Parameterization::ALL {
            if !parameterization.has_shared_basis() {
                let mut axes = [parameterization.channel_inputs(), parameterization.network_axes()].concat();
                axes.sort_by_key(|&axis| axis as usize);
                assert_eq!(axes, [ChannelAxis::In, ChannelAxis::Out], "{parameterization:?}");
            }
        }
    }
}
