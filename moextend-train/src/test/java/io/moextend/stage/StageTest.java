package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

@SuppressWarnings("MustBeClosedChecker") // closed after each test
class StageTest {
  private final Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
  private final Arena arena = backend.arena("test");

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  private Module model(Role... roles) {
    List<Parameter> parameters =
        Arrays.stream(roles)
            .map(r -> new Parameter("p." + r, r, arena.allocate(DType.F32, 1 + r.ordinal())))
            .toList();
    return visitor -> parameters.forEach(visitor);
  }

  private static Set<Role> trained(Stage stage, Module model) {
    return stage.freezeAllBut(model).stream().map(Parameter::role).collect(Collectors.toSet());
  }

  @Test
  void eachStageTrainsItsRolesAndNothingElse() {
    Module model = model(Role.values());
    assertThat(trained(Stage.ALIGNMENT, model)).containsOnly(Role.PROJECTOR);
    assertThat(trained(Stage.EXTENSION, model)).containsOnly(Role.ROUTER);
    assertThat(trained(Stage.FINETUNE, model))
        .containsOnly(Role.PROJECTOR, Role.NEW_EXPERT, Role.NEW_ROUTER, Role.CALIBRATION);
    assertThat(trained(Stage.FULL, model))
        .isEqualTo(EnumSet.complementOf(EnumSet.of(Role.VISION_TOWER)));
    assertThat(trained(Stage.ADAPT, model)).containsOnly(Role.ADAPTER);
  }

  @Test
  void aStageThatFindsNothingToTrainSaysSo() {
    assertThatThrownBy(() -> Stage.ADAPT.freezeAllBut(model(Role.BACKBONE)))
        .isInstanceOf(ConfigException.class)
        .hasMessage("stage=adapt: trains adapter, but the model has backbone");
    assertThatThrownBy(() -> Stage.named("align"))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "stage=align: known stages are alignment, extension, finetune, pretrain, sft, pretrain-text, full, adapt");
  }

  @Test
  void finetuneOfAModelThatWasNeverExtendedIsRefused() {
    assertThatThrownBy(() -> Stage.FINETUNE.freezeAllBut(model(Role.BACKBONE, Role.PROJECTOR)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("init-expert");
  }

  @Test
  void theTableCountsByRole() {
    Module model = model(Role.BACKBONE, Role.PROJECTOR);
    Stage.ALIGNMENT.freezeAllBut(model);
    TrainableTable table = TrainableTable.of(model);
    assertThat(table.rows())
        .containsExactly(
            new TrainableTable.Row(Role.BACKBONE, 1, 1, 0),
            new TrainableTable.Row(Role.PROJECTOR, 1, 4, 4));
    assertThat(table.share()).isEqualTo(0.8);
    assertThat(table.text()).contains("projector", "80.0000%");
  }
}
