package io.moextend.config;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A decoder that was published: its {@code model_type}, the class that reads it, and its family.
 */
public enum DecoderType {
  MIXTRAL("mixtral", "MixtralForCausalLM", Family.MIXTRAL, Eyes.MOEXTEND),
  LLAMA("llama", "LlamaForCausalLM", Family.LLAMA, Eyes.MOEXTEND),
  MISTRAL("mistral", "MistralForCausalLM", Family.MISTRAL, Eyes.MOEXTEND),
  QWEN2("qwen2", "Qwen2ForCausalLM", Family.QWEN2, Eyes.MOEXTEND),
  PHI3("phi3", "Phi3ForCausalLM", Family.PHI3, Eyes.MOEXTEND),
  BUNNY_PHI3("bunny-phi3", "BunnyPhi3ForCausalLM", Family.PHI3, Eyes.BUNNY),
  BUNNY_LLAMA("bunny-llama", "BunnyLlamaForCausalLM", Family.LLAMA, Eyes.BUNNY),
  MOIIE_PHI3("bunny-mm-phi3-moe-s", "BunnyMMSPhi3MoEForCausalLM", Family.PHI3, Eyes.BUNNY),
  MOIIE_LLAMA("bunny-mm-llama3-moe-s", "BunnyMMSLlamaMoEForCausalLM", Family.LLAMA, Eyes.BUNNY),
  VANILLA_PHI3("bunny-phi3-moe", "BunnyPhi3MoEForCausalLM", Family.PHI3, Eyes.BUNNY),
  VANILLA_LLAMA("bunny-llama3-moe", "BunnyLlamaMoEForCausalLM", Family.LLAMA, Eyes.BUNNY),
  MODALITY_PHI3("bunny-phi3-m", "BunnyPhi3MMForCausalLM", Family.PHI3, Eyes.BUNNY),
  MODALITY_LLAMA("bunny-llama-m", "BunnyLlamaMMForCausalLM", Family.LLAMA, Eyes.BUNNY),
  ROUTED_PHI3("bunny-mm-phi3-moe", "BunnyMMPhi3MoEForCausalLM", Family.PHI3, Eyes.BUNNY);

  /** What the decoders of one kind share: how their weights are cut and what their options mean. */
  public enum Family {
    MIXTRAL,
    LLAMA,
    MISTRAL,
    QWEN2,
    PHI3;

    /** q, k and v are one matrix of the checkpoint, and so are gate and up. */
    public boolean fused() {
      return this == PHI3;
    }

    /** q, k and v have biases. */
    public boolean biased() {
      return this == QWEN2;
    }

    /**
     * Keys a query sees in a sliding window of {@code window}, its own included: Phi-3 sees its own
     * and {@code window} before it, the others its own among {@code window}.
     */
    int keysIn(int window) {
      return this == PHI3 && window > 0 ? Math.addExact(window, 1) : window;
    }

    /** The sliding window that lets a query see {@code keys}: of {@link #keysIn} the inverse. */
    int windowOf(int keys) {
      return this == PHI3 && keys > 0 ? keys - 1 : keys;
    }
  }

  /** Where a checkpoint keeps what turns images into tokens. */
  public enum Eyes {
    MOEXTEND("model.visual.vision_tower", "model.visual.mm_projector"),
    BUNNY("model.vision_tower.vision_tower", "model.mm_projector");

    private final String tower;
    private final String projector;

    Eyes(String tower, String projector) {
      this.tower = tower;
      this.projector = projector;
    }

    /** Before the tower's own names. */
    public String tower() {
      return tower;
    }

    /** Before {@code .0.weight} and the like. */
    public String projector() {
      return projector;
    }
  }

  private final String modelType;
  private final String architecture;
  private final Family family;
  private final Eyes eyes;

  DecoderType(String modelType, String architecture, Family family, Eyes eyes) {
    this.modelType = modelType;
    this.architecture = architecture;
    this.family = family;
    this.eyes = eyes;
  }

  /** config.json's {@code model_type}. */
  public String modelType() {
    return modelType;
  }

  /** The class config.json names under {@code architectures}. */
  public String architecture() {
    return architecture;
  }

  public Family family() {
    return family;
  }

  public Eyes eyes() {
    return eyes;
  }

  /** What a text model becomes that is given a tower: a Phi-3 or a Llama becomes a Bunny. */
  public DecoderType seeing() {
    return switch (this) {
      case PHI3 -> BUNNY_PHI3;
      case LLAMA -> BUNNY_LLAMA;
      default -> this;
    };
  }

  /** Some layers have experts, the others a network of the same width. */
  boolean mixed() {
    return switch (this) {
      case MIXTRAL, LLAMA, MISTRAL, QWEN2, PHI3, BUNNY_PHI3, BUNNY_LLAMA -> false;
      case MOIIE_PHI3,
          MOIIE_LLAMA,
          VANILLA_PHI3,
          VANILLA_LLAMA,
          MODALITY_PHI3,
          MODALITY_LLAMA,
          ROUTED_PHI3 ->
          true;
    };
  }

  /** The one with this {@code model_type}. */
  public static Optional<DecoderType> of(String modelType) {
    return Arrays.stream(values()).filter(t -> t.modelType.equals(modelType)).findFirst();
  }

  static List<String> modelTypes() {
    return Arrays.stream(values()).map(DecoderType::modelType).toList();
  }
}
