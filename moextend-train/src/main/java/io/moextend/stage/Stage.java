package io.moextend.stage;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a run trains where no rule changes it ({@link FreezePlan}). Roles a model does not have are
 * no fault.
 */
public enum Stage {
  /** The projector alone learns to speak the language model's language. */
  ALIGNMENT("alignment", EnumSet.of(Role.PROJECTOR)),
  /** The pretrained routers show which layers want another expert. */
  EXTENSION("extension", EnumSet.of(Role.ROUTER)),
  /** The added experts, their gate rows and calibrations, and the projector. */
  FINETUNE(
      "finetune", EnumSet.of(Role.PROJECTOR, Role.NEW_EXPERT, Role.NEW_ROUTER, Role.CALIBRATION)),
  /** MoIIE's and LLaVA's first stage: the projector alone. */
  PRETRAIN("pretrain", EnumSet.of(Role.PROJECTOR)),
  /** MoIIE's second: all but the vision tower. */
  SFT("sft", EnumSet.complementOf(EnumSet.of(Role.VISION_TOWER))),
  /** A language model from nothing, on text. */
  PRETRAIN_TEXT("pretrain-text", EnumSet.complementOf(EnumSet.of(Role.VISION_TOWER))),
  /** All but the vision tower, on any data. */
  FULL("full", EnumSet.complementOf(EnumSet.of(Role.VISION_TOWER))),
  /** Adapters alone. */
  ADAPT("adapt", EnumSet.of(Role.ADAPTER));

  private final String word;
  private final Set<Role> trained;

  Stage(String word, EnumSet<Role> trained) {
    this.word = word;
    this.trained = Set.copyOf(trained);
  }

  /** As typed: "alignment". */
  public String word() {
    return word;
  }

  public Set<Role> trained() {
    return trained;
  }

  /**
   * @throws ConfigException where there is no such stage
   */
  public static Stage named(String word) {
    return Arrays.stream(values())
        .filter(stage -> stage.word.equals(word))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    "stage",
                    word,
                    "known stages are "
                        + Arrays.stream(values())
                            .map(Stage::word)
                            .collect(Collectors.joining(", "))));
  }

  /**
   * Freezes every parameter but this stage's.
   *
   * @return those that train, in the model's order
   * @throws ConfigException where none does, or finetune finds no added expert
   */
  public List<Parameter> freezeAllBut(Module model) {
    return FreezePlan.of(this).applyTo(model);
  }
}
