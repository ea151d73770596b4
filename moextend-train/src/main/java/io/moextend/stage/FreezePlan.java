package io.moextend.stage;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.model.ParameterChoice;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What a run trains: the roles of its stage and what {@code train} adds to them, but for what
 * {@code freeze} names, which counts most. So {@code freeze: [role:backbone, role:projector]} on
 * stage sft is what the published scripts call moe_enable: all feed-forward networks, experts and
 * routers.
 */
public record FreezePlan(Stage stage, List<ParameterRule> train, List<ParameterRule> freeze)
    implements ParameterChoice {
  public static final String TRAIN = "training.train";
  public static final String FREEZE = "training.freeze";

  public FreezePlan {
    train = List.copyOf(train);
    freeze = List.copyOf(freeze);
  }

  /** The stage as it is. */
  public static FreezePlan of(Stage stage) {
    return new FreezePlan(stage, List.of(), List.of());
  }

  /** The same, and a role beside. */
  public FreezePlan training(Role role) {
    List<ParameterRule> more =
        Stream.concat(train.stream(), Stream.of((ParameterRule) new ParameterRule.OfRole(role)))
            .toList();
    return stage.trained().contains(role) ? this : new FreezePlan(stage, more, freeze);
  }

  @Override
  public boolean has(String name, Role role) {
    boolean trains =
        stage.trained().contains(role) || train.stream().anyMatch(r -> r.has(name, role));
    return trains && freeze.stream().noneMatch(r -> r.has(name, role));
  }

  /**
   * Freezes every parameter but this plan's.
   *
   * @return those that train, in the model's order
   * @throws ConfigException where none does, a rule matches none, or finetune finds no added expert
   */
  public List<Parameter> applyTo(Module model) {
    List<Parameter> all = model.parameters();
    Set<Role> present =
        all.stream()
            .map(Parameter::role)
            .collect(Collectors.toCollection(() -> EnumSet.noneOf(Role.class)));
    train.forEach(rule -> requireMatch(TRAIN, rule, all, present));
    freeze.forEach(rule -> requireMatch(FREEZE, rule, all, present));
    all.forEach(p -> p.trainable(has(p)));
    List<Parameter> training = all.stream().filter(Parameter::requiresGrad).toList();
    if (training.isEmpty()) {
      throw nothingTrains(present);
    }
    if (stage == Stage.FINETUNE && !present.contains(Role.NEW_EXPERT)) {
      throw new ConfigException(
          "stage",
          stage.word(),
          "the model has no added expert; make an extended model with init-expert");
    }
    return training;
  }

  private static void requireMatch(
      String field, ParameterRule rule, List<Parameter> all, Set<Role> present) {
    if (all.stream().noneMatch(rule::has)) {
      throw new ConfigException(
          field, rule, "matches no tensor of this model, whose roles are " + listed(present));
    }
  }

  private ConfigException nothingTrains(Set<Role> present) {
    return new ConfigException(
        "stage",
        stage.word(),
        freeze.isEmpty()
            ? "trains %s, but the model has %s"
                .formatted(listed(EnumSet.copyOf(stage.trained())), listed(present))
            : "%s leaves nothing to train".formatted(FREEZE + "=" + freeze));
  }

  private static String listed(Set<Role> roles) {
    return roles.stream().map(Role::words).collect(Collectors.joining(", "));
  }
}
