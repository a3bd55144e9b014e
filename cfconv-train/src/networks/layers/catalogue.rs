//! The macro behind the list of layers.

/// Turns the list of layers into everything that tells one kind from another:
///
/// * [`LayerConfig`](super::LayerConfig): a table of a configuration file, and the names of all kinds;
/// * `LayerPlan`: a planned layer, which is an operation or a structure for the planner to arrange;
/// * `PlannedOp`: the operation of a planned layer;
/// * `PreparedOp`: an operation with what it keeps on a device.
///
/// Their methods hand each call on to the layer's own file. An entry of the list is the documentation of the kind, its
/// name in configuration files, its name in the code and its settings. Those of an operation implement
/// [`LayerKind`](super::kind::LayerKind); those of a structure have a method `resize`.
macro_rules! layers {
    (
        operations { $($(#[$doc:meta])* $kind:literal $Layer:ident($Config:ty),)+ }
        structure {
            $($(#[$structure_doc:meta])* $structure_kind:literal $Structure:ident($StructureConfig:ty),)+
        }
    ) => {
        /// One table `[[network.layers]]`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum LayerConfig {
            $($(#[$doc])* #[serde(rename = $kind)] $Layer($Config),)+
            $($(#[$structure_doc])* #[serde(rename = $structure_kind)] $Structure($StructureConfig),)+
        }

        impl LayerConfig {
            /// The names of all types in configuration files.
            pub const KINDS: &[&str] = &[$($kind,)+ $($structure_kind,)+];

            /// The type's name in configuration files.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$Layer(_) => $kind,)+
                    $(Self::$Structure(_) => $structure_kind,)+
                }
            }

            /// Plans an operation; leaves a structure to the planner.
            pub(super) fn plan(&self, at: &Context<'_>) -> Result<LayerPlan<'_>, NetworkError> {
                Ok(match self {
                    $(Self::$Layer(config) => {
                        LayerPlan::Operation(config.plan(at)?.map(PlannedOp::$Layer))
                    })+
                    $(Self::$Structure(config) => LayerPlan::$Structure(config),)+
                })
            }

            fn resize(&mut self, path: &str, growth: Growth) -> Result<Growth, NetworkError> {
                let at = LayerName { path, kind: self.kind() };
                match self {
                    $(Self::$Layer(config) => config.resize(at, growth),)+
                    $(Self::$Structure(config) => config.resize(at, growth),)+
                }
            }
        }

        /// What planning makes of a layer.
        pub(super) enum LayerPlan<'a> {
            /// An operation.
            Operation(Planned<PlannedOp>),
            $($(#[$structure_doc])* $Structure(&'a $StructureConfig),)+
        }

        /// The operation of a planned layer, with its sizes.
        #[derive(Clone, Debug)]
        pub(super) enum PlannedOp {
            $($Layer(<$Config as LayerKind>::Op),)+
        }

        impl PlannedOp {
            /// See [`LayerOp::BACKWARD_READS_INPUT`].
            pub(super) fn backward_reads_input(&self) -> bool {
                match self {
                    $(Self::$Layer(_) => <<$Config as LayerKind>::Op as LayerOp>::BACKWARD_READS_INPUT,)+
                }
            }

            /// See [`LayerOp::scratch_len`].
            pub(super) fn scratch_len(&self, batch: usize) -> usize {
                match self {
                    $(Self::$Layer(op) => LayerOp::scratch_len(op, batch),)+
                }
            }

            /// See [`LayerOp::memory`].
            pub(super) fn memory<D: Device>(
                &self,
                device: &D,
                batches: &PlannedBatches,
            ) -> Result<LayerMemory, DeviceError> {
                match self {
                    $(Self::$Layer(op) => op.memory(device, batches),)+
                }
            }

            /// See [`LayerOp::prepare`].
            pub(super) fn prepare<D: Device>(
                &self,
                device: &D,
                max_batch: usize,
            ) -> Result<PreparedOp<D>, DeviceError> {
                Ok(match self {
                    $(Self::$Layer(op) => PreparedOp::$Layer(op.clone(), op.prepare(device, max_batch)?),)+
                })
            }
        }

        /// An operation with what it keeps on a device.
        pub(super) enum PreparedOp<D: Device> {
            $($Layer(<$Config as LayerKind>::Op, <<$Config as LayerKind>::Op as LayerOp>::State<D>),)+
        }

        impl<D: Device> PreparedOp<D> {
            /// See [`LayerOp::forward`].
            pub(super) fn forward(
                &mut self,
                pass: PassWith<'_, (), D>,
                io: Forward<'_, D>,
            ) -> Result<(), DeviceError> {
                match self {
                    $(Self::$Layer(op, state) => op.forward(pass.with(state), io),)+
                }
            }

            /// See [`LayerOp::backward`].
            pub(super) fn backward(
                &mut self,
                pass: PassWith<'_, (), D>,
                io: Backward<'_, D>,
            ) -> Result<(), DeviceError> {
                match self {
                    $(Self::$Layer(op, state) => op.backward(pass.with(state), io),)+
                }
            }

            /// See [`LayerOp::working_bytes`].
            pub(super) fn working_bytes(&self, device: &D, max_batch: usize) -> usize {
                match self {
                    $(Self::$Layer(op, state) => op.working_bytes(state, device, max_batch),)+
                }
            }

            /// See [`LayerOp::cf_conv`].
            pub(super) fn cf_conv(&self) -> Option<&CfConv2d<D>> {
                match self {
                    $(Self::$Layer(op, state) => op.cf_conv::<D>(state),)+
                }
            }

            /// See [`LayerOp::cf_conv_mut`].
            pub(super) fn cf_conv_mut(&mut self) -> Option<&mut CfConv2d<D>> {
                match self {
                    $(Self::$Layer(op, state) => op.cf_conv_mut::<D>(state),)+
                }
            }
        }
    };
}
pub(super) use layers;
