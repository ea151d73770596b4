package io.moextend.stage.convert;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.List;

/**
 * The models that are converted: what config.json calls them and the class that reads them.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>; the names are those of its code
 */
public enum PublishedType {
  PHI3("phi3", "Phi3ForCausalLM", Family.PHI3, Architecture.DENSE),
  LLAMA("llama", "LlamaForCausalLM", Family.LLAMA, Architecture.DENSE),
  BUNNY_PHI3("bunny-phi3", "BunnyPhi3ForCausalLM", Family.PHI3, Architecture.DENSE),
  BUNNY_LLAMA("bunny-llama", "BunnyLlamaForCausalLM", Family.LLAMA, Architecture.DENSE),
  MOIIE_PHI3("bunny-mm-phi3-moe-s", "BunnyMMSPhi3MoEForCausalLM", Family.PHI3, Architecture.MOIIE),
  MOIIE_LLAMA(
      "bunny-mm-llama3-moe-s", "BunnyMMSLlamaMoEForCausalLM", Family.LLAMA, Architecture.MOIIE),
  VANILLA_PHI3("bunny-phi3-moe", "BunnyPhi3MoEForCausalLM", Family.PHI3, Architecture.VANILLA_MOE),
  VANILLA_LLAMA(
      "bunny-llama3-moe", "BunnyLlamaMoEForCausalLM", Family.LLAMA, Architecture.VANILLA_MOE),
  MODALITY_PHI3("bunny-phi3-m", "BunnyPhi3MMForCausalLM", Family.PHI3, Architecture.MODALITY_MOE),
  MODALITY_LLAMA(
      "bunny-llama-m", "BunnyLlamaMMForCausalLM", Family.LLAMA, Architecture.MODALITY_MOE),
  ROUTED_PHI3(
      "bunny-mm-phi3-moe",
      "BunnyMMPhi3MoEForCausalLM",
      Family.PHI3,
      Architecture.ROUTED_MODALITY_MOE);

  private final String modelType;
  private final String className;
  private final Family family;
  private final Architecture architecture;

  PublishedType(String modelType, String className, Family family, Architecture architecture) {
    this.modelType = modelType;
    this.className = className;
    this.family = family;
    this.architecture = architecture;
  }

  /** {@code model_type} of config.json. */
  public String modelType() {
    return modelType;
  }

  /** {@code architectures[0]} of config.json. */
  public String className() {
    return className;
  }

  public Architecture architecture() {
    return architecture;
  }

  Family family() {
    return family;
  }

  /**
   * @param where the file, for the message
   * @throws ConfigException where it is none that is converted
   */
  static PublishedType named(JsonNode modelType, Object where) {
    return Arrays.stream(values())
        .filter(type -> type.modelType.equals(modelType.textValue()))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    where + ": model_type",
                    modelType.isMissingNode() ? "absent" : modelType,
                    "converted are " + names()));
  }

  /**
   * The one that a model of this family becomes; a dense one as the published converter names it,
   * {@code bunny-phi3} and not {@code phi3}.
   *
   * @throws ConfigException where no class was published for the two
   */
  PublishedType as(Architecture wanted) {
    return Arrays.stream(values())
        .filter(type -> type.family == family && type.architecture == wanted)
        .reduce((_, last) -> last)
        .orElseThrow(
            () ->
                new ConfigException(
                    "--architecture",
                    wanted,
                    "was never published for %s; take another, or a Phi-3 model"
                        .formatted(modelType)));
  }

  private static List<String> names() {
    return Arrays.stream(values()).map(PublishedType::modelType).toList();
  }
}
