package io.moextend.adapter;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** What stands at a model's sites. */
public enum AdapterMethod {
  /**
   * One vector that multiplies keys, values and the hidden state of a feed-forward network.
   *
   * @see <a href="https://arxiv.org/abs/2205.05638">Few-Shot Parameter-Efficient Fine-Tuning</a>
   */
  IA3,
  /**
   * A product of low rank that is added.
   *
   * @see <a href="https://arxiv.org/abs/2106.09685">LoRA</a>
   */
  LORA,
  /**
   * (IA)³ with several vectors and a router that mixes them.
   *
   * @see <a href="https://arxiv.org/abs/2309.05444">Pushing Mixture of Experts to the Limit</a>
   */
  MOV,
  /** LoRA with several pairs of matrices and a router that mixes what they add; as {@link #MOV}. */
  MOLORA;

  /** True where something is added to a layer's product, false where one is multiplied. */
  public boolean isAdditive() {
    return this == LORA || this == MOLORA;
  }

  /** True where a router mixes several experts. */
  public boolean isRouted() {
    return this == MOV || this == MOLORA;
  }

  /** As it is written in files: "molora". */
  @JsonValue
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
