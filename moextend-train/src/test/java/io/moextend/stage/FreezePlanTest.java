package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** On the reference case of MoIIE: four layers, of which the second and fourth have experts. */
@SuppressWarnings("MustBeClosedChecker") // closed after each test
class FreezePlanTest {
  private final Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
  private final Arena arena = backend.arena("test");
  private final Decoder model =
      new Decoder(
          new FreshParameters(backend, arena, DType.F32, Set.of(), 0.02, 1),
          HuggingFaceConfig.read(Golden.path("moiie/moiie_phi3")).decoder());

  @AfterEach
  void close() {
    model.close();
    arena.close();
    backend.close();
  }

  private static FreezePlan plan(Stage stage, List<String> train, List<String> freeze) {
    return new FreezePlan(
        stage,
        ParameterRule.parse(FreezePlan.TRAIN, train),
        ParameterRule.parse(FreezePlan.FREEZE, freeze));
  }

  private Set<String> trained(Stage stage, List<String> train, List<String> freeze) {
    return plan(stage, train, freeze).applyTo(model).stream()
        .map(Parameter::name)
        .collect(Collectors.toSet());
  }

  private Set<String> named(java.util.function.Predicate<String> which) {
    return model.parameters().stream()
        .map(Parameter::name)
        .filter(which)
        .collect(Collectors.toSet());
  }

  private static boolean ofTower(String name) {
    return name.startsWith("model.vision_tower.");
  }

  @Test
  void pretrainIsTheProjectorAndSftAllButTheTower() {
    assertThat(trained(Stage.PRETRAIN, List.of(), List.of()))
        .isEqualTo(named(n -> n.startsWith("model.mm_projector.")))
        .hasSize(4);
    assertThat(trained(Stage.SFT, List.of(), List.of()))
        .isEqualTo(named(n -> !ofTower(n)))
        .contains("lm_head.weight", "model.layers.1.mlp.gate_vis.weight");
  }

  @Test
  void moeEnableIsAllFeedForwardNetworksWithExpertsAndRouters() {
    Set<String> published = named(n -> n.startsWith("model.layers.") && n.contains("mlp"));
    assertThat(trained(Stage.SFT, List.of(), List.of("role:backbone", "role:projector")))
        .isEqualTo(published)
        .contains(
            "model.layers.0.mlp.gate_up_proj.weight",
            "model.layers.1.mlp.experts.3.down_proj.weight",
            "model.layers.3.mlp.gate.weight");
  }

  @Test
  void unfreezeVisionTowerIsARuleOfItsRole() {
    assertThat(trained(Stage.SFT, List.of("role:vision_tower"), List.of()))
        .isEqualTo(named(n -> true));
  }

  @Test
  void anExpressionIsFoundAnywhereInANameAndMayTakeAPartOfARole() {
    assertThat(trained(Stage.PRETRAIN, List.of("name:experts\\.[03]\\."), List.of()))
        .isEqualTo(
            named(
                n ->
                    n.startsWith("model.mm_projector.")
                        || n.contains(".experts.0.")
                        || n.contains(".experts.3.")));
    assertThat(plan(Stage.PRETRAIN, List.of("name:experts\\.3\\."), List.of()))
        .matches(p -> p.has("model.layers.1.mlp.experts.3.down_proj.weight", Role.EXPERT))
        .matches(p -> !p.has("model.layers.1.mlp.experts.2.down_proj.weight", Role.EXPERT));
    trained(Stage.SFT, List.of(), List.of("name:experts\\.[0-2]\\."));
    TrainableTable.Row experts =
        TrainableTable.of(model).rows().stream()
            .filter(r -> r.role() == Role.EXPERT)
            .findFirst()
            .orElseThrow();
    assertThat(experts.trainable()).isEqualTo(experts.elements() / 4);
  }

  @Test
  void whatFreezeNamesIsFrozenThoughTrainNamesItToo() {
    assertThat(
            trained(Stage.SFT, List.of("role:vision tower"), List.of("name:^model\\.vision_tower")))
        .isEqualTo(named(n -> !ofTower(n)));
  }

  @Test
  void theTableHasTheRolesOfMoiie() {
    trained(Stage.SFT, List.of(), List.of("role:backbone"));
    assertThat(TrainableTable.of(model).text())
        .containsPattern("(?m)^backbone +[\\d,]+ +0 +0\\.0000%$")
        .containsPattern("(?m)^vision tower +[\\d,]+ +0 ")
        .containsPattern("(?m)^feed forward +9,216 +9,216 ")
        .containsPattern("(?m)^expert +36,864 +36,864 ")
        .containsPattern("(?m)^router +192 +192 ")
        .containsPattern("(?m)^vision router +192 +192 ");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "role:exprt | training.train=role:exprt: there is no such role; known are backbone, router,"
            + " vision tower, projector, new expert, new router, calibration, adapter, feed"
            + " forward, expert, vision router",
        "expert | training.train=expert: a rule is role:ROLE, as in role:expert, or"
            + " name:EXPRESSION, as in name:\\.mlp\\.",
        "rolle:expert | training.train=rolle:expert: a rule is role:ROLE, as in role:expert, or"
            + " name:EXPRESSION, as in name:\\.mlp\\.",
        "name:experts.( | training.train=name:experts.(: is no regular expression: Unclosed group"
            + " at character 9",
        "name: | training.train=name:: the expression is missing, as in name:\\.mlp\\.",
        "role:new_expert | training.train=role:new expert: matches no tensor of this model, whose"
            + " roles are backbone, router, vision tower, projector, feed forward, expert, vision"
            + " router",
        "name:mixer | training.train=name:mixer: matches no tensor of this model, whose roles are"
            + " backbone, router, vision tower, projector, feed forward, expert, vision router",
      })
  void aRuleThatIsWrongSaysHow(String rule, String message) {
    assertThatThrownBy(() -> trained(Stage.SFT, List.of(rule), List.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessage(message);
  }

  @Test
  void rulesThatLeaveNothingToTrainAreRefused() {
    assertThatThrownBy(() -> trained(Stage.PRETRAIN, List.of(), List.of("role:projector")))
        .isInstanceOf(ConfigException.class)
        .hasMessage("stage=pretrain: training.freeze=[role:projector] leaves nothing to train");
    assertThatThrownBy(() -> trained(Stage.FINETUNE, List.of(), List.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("no added expert");
  }

  @Test
  void whatTrainsIsKnownBeforeAWeightIsLoaded() {
    FreezePlan plan = plan(Stage.SFT, List.of(), List.of("name:layernorm"));
    plan.applyTo(model);
    assertThat(model.parameters()).allMatch(p -> p.requiresGrad() == plan.has(p));
    assertThat(EnumSet.allOf(Role.class)).hasSize(11);
  }
}
