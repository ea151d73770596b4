package io.moextend.backend;

/** Pointwise functions of a network. */
public enum Activation {
  /** x / (1 + e^-x). */
  SILU,
  /** x Φ(x), by the error function. */
  GELU,
  /** x / (1 + e^(-1.702 x)): CLIP's. */
  QUICK_GELU,
  /**
   * x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2: "gelu_new" of T5, "gelu_pytorch_tanh" of SigLIP.
   */
  GELU_TANH,
  RELU,
  /** x / 6 + 1/2, held between 0 and 1. */
  HARD_SIGMOID,
  /** x times {@link #HARD_SIGMOID}: MobileNetV3's. */
  HARD_SWISH
}
