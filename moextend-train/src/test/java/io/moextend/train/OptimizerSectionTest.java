package io.moextend.train;

import static io.moextend.train.LeastConfig.LEAST;
import static io.moextend.train.LeastConfig.parse;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.autograd.Parameter.Role;
import io.moextend.config.ConfigException;
import io.moextend.optim.Adafactor;
import io.moextend.optim.AdamW;
import io.moextend.shard.RoleRates;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What trains, by which rule and at which rate. */
class OptimizerSectionTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "training.freeze=[role:exprt] | run.yaml: training.freeze=role:exprt: there is no such role;",
        "training.train=[name:(] | run.yaml: training.train=name:(: is no regular expression",
        "training.train=role:expert | training.train",
        "training.freeze=[3] | training.freeze",
        "optimizer.mm_projector_lr=0 | optimizer.mm_projector_lr=0.0: must be greater than 0",
        "optimizer.mm_vision_tower_lr=-1 | optimizer.mm_vision_tower_lr=-1.0: must be greater than",
      })
  void aWrongRuleOrRateIsRefusedWhenItIsRead(String override, String message) {
    assertThatThrownBy(() -> parse(LEAST, override))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void rulesAndRatesAreReadFromYamlAndFromTheCommandLine() {
    TrainConfig config =
        parse(
            LEAST.replace(
                "training:",
                "  mm_projector_lr: 2e-5\ntraining:\n  train: ['role:vision_tower', name:^lm_head]\n"),
            "training.freeze=['name:\\.experts\\.[0-2]\\.', role:backbone]");
    assertThat(config.training().train()).containsExactly("role:vision_tower", "name:^lm_head");
    assertThat(parse(config.yaml())).isEqualTo(config);
    FreezePlan plan = config.training().plan(Stage.SFT);
    assertThat(plan.has("model.layers.1.mlp.experts.2.down_proj.weight", Role.EXPERT)).isFalse();
    assertThat(plan.has("model.layers.1.mlp.experts.3.down_proj.weight", Role.EXPERT)).isTrue();
    assertThat(config.optimizer().mmProjectorLr()).isEqualTo(2e-5);
    assertThat(config.identity(1)).isNotEqualTo(parse(LEAST).identity(1));
  }

  @Test
  void aRateOfWhatDoesNotTrainIsRefused() {
    OptimizerSection section = parse(LEAST, "optimizer.mm_vision_tower_lr=2e-6").optimizer();
    assertThatThrownBy(() -> section.rates(List.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "optimizer.mm_vision_tower_lr=2.0E-6: the vision tower does not train in this run;"
                + " write null, or add role:vision_tower to training.train");
    assertThat(parse(LEAST).optimizer().rates(List.of())).isEqualTo(RoleRates.ALIKE);
  }

  private static final String ADAFACTOR =
      LEAST.replace(
          "training:",
          """
            optim: adafactor
            adafactor:
              start_step: 1100000
              decay_rate: 0.8
              clipping_threshold: 1.0
              multiply_by_parameter_scale: true
              min_dim_size_to_factor: 128
            lr_scheduler_type: factors
            lr_factors:
              factors: constant * linear_warmup
              first_step: 5
              decay_factor: 0.5
              steps_per_decay: 20000
              steps_per_cycle: 100000
              min_learning_rate: 1e-8
            warmup_steps: 10
          training:""");

  @Test
  void adafactorAndItsScheduleAreReadFromSectionsOfTheirOwn() {
    assertThat(parse(LEAST).optimizer().rule()).isEqualTo(AdamW.PUBLISHED);
    TrainConfig config = parse(ADAFACTOR);
    assertThat(config.optimizer().rule()).isEqualTo(Adafactor.from(Adafactor.PUBLISHED_START));
    assertThat(config.optimizer().schedule(100).at(1)).isEqualTo(1e-3 * 5 / 10);
    assertThat(parse(config.yaml())).isEqualTo(config);
    assertThat(
            parse(ADAFACTOR, "optimizer.adafactor.min_dim_size_to_factor=null").optimizer().rule())
        .isEqualTo(new Adafactor(Adafactor.PUBLISHED_START, 0.8, 1, true, Adafactor.NEVER));
  }

  @Test
  void anotherRuleOrStartIsAnotherRun() {
    Map<String, String> identity = parse(ADAFACTOR).identity(1);
    for (String override :
        List.of(
            "optimizer.optim=adamw",
            "optimizer.adafactor.start_step=0",
            "optimizer.lr_factors.first_step=6")) {
      assertThat(parse(ADAFACTOR, override).identity(1)).as(override).isNotEqualTo(identity);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "optimizer.optim=adagrad | optimizer.optim=adagrad: known are adamw, adafactor",
        "optimizer.weight_decay=0.1 | optimizer.weight_decay=0.1: adafactor has none",
        "optimizer.adafactor.start_step=-1 | optimizer.adafactor.start_step=-1: must be at least 0",
        "optimizer.adafactor.decay_rate=0 | optimizer.adafactor.decay_rate=0.0: must be greater",
        "optimizer.adafactor.start_stp=1 | no field optimizer.adafactor.start_stp; did you mean",
        "optimizer.lr_factors.factors=constant * rsqrt | optimizer.lr_factors.factors=constant * rsqrt: there is no factor 'rsqrt'; known are constant,",
        "optimizer.lr_factors.factors=constant * linear_decay | linear_decay is constant and",
        "optimizer.lr_factors.steps_per_decay=0 | optimizer.lr_factors.steps_per_decay=0: must be",
      })
  void whatAdafactorOrItsScheduleCannotBeIsRefusedByName(String override, String message) {
    assertThatThrownBy(() -> parse(ADAFACTOR, override))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aRuleOrScheduleWithoutItsSectionIsRefused() {
    assertThatThrownBy(() -> parse(LEAST, "optimizer.optim=adafactor"))
        .hasMessageContaining("optimizer.adafactor=null: is needed with optim: adafactor");
    assertThatThrownBy(() -> parse(LEAST, "optimizer.lr_scheduler_type=factors"))
        .hasMessageContaining("optimizer.lr_factors=null: is needed with lr_scheduler_type");
    assertThatThrownBy(() -> parse(ADAFACTOR.replace("    decay_rate: 0.8\n", "")))
        .hasMessageContaining("optimizer.adafactor.decay_rate is missing");
  }

  @Test
  void whatAdaptsAnEncoderDecoderHasThePublishedRuleUnlessToldOtherwise() {
    String text =
        """
        model:
          base: models/t5
        adapter:
          method: mov
        data:
          mixture: mixture.yaml
        training:
          per_device_train_batch_size: 2
          max_steps: 10
        checkpoints:
          output_dir: out
        """;
    AdaptConfig config = AdaptConfig.parse("run.yaml", text, List.of());
    assertThat(config.optimizer().rule()).isEqualTo(Adafactor.from(Adafactor.PUBLISHED_START));
    assertThat(config.optimizer().schedule(10).at(1)).isEqualTo(3e-4);
    List<String> fromScratch = List.of("optimizer.adafactor.start_step=0");
    assertThat(AdaptConfig.parse("run.yaml", text, fromScratch).identity(1))
        .isNotEqualTo(config.identity(1));
  }
}
