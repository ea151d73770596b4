package io.moextend.vision;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.ProjectorType;
import io.moextend.nn.ParameterFactory;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ProjectorTest {
  private static final int FEATURES = 12;
  private static final int IMAGES = 2;

  static Stream<Arguments> cases() {
    List<String> all =
        List.of(
            "linear",
            "mlp1x_gelu",
            "mlp2x_gelu",
            "mlp3x_gelu",
            "spp_v1",
            "spp_v2",
            "spp_v3",
            "identity",
            "ldp");
    return VisionBed.backends()
        .flatMap(
            backend ->
                Stream.concat(
                        all.stream().flatMap(t -> Stream.of(16, 25).map(v -> List.of(t, v))),
                        Stream.of(List.of("minigpt", 16), List.of("vanilla", 16)))
                    .map(c -> Arguments.of(backend, c.get(0), c.get(1))));
  }

  @ParameterizedTest(name = "{1} of {2} patches on {0}")
  @MethodSource("cases")
  void outputsAndGradientsAreThePublishedOnes(String backend, String name, int patches) {
    String folder = name.equals("ldp") ? "moiie/ldp/" : "moiie/projectors/";
    try (var bed = new VisionBed(backend);
        WeightSource inputs = VisionBed.open(folder + "inputs.safetensors");
        WeightSource expected = VisionBed.open(folder + "expected.safetensors")) {
      String at = name + "/" + patches + "/";
      var wanted = expected.tensor(at + "out");
      int hidden = (int) wanted.shape()[2];
      ProjectorType type = ProjectorType.of(name);
      assertThat(type.tokens(patches)).isEqualTo((int) wanted.shape()[1]);
      var weights = new Selected(inputs, n -> n.startsWith(name + "/"));
      var from = bed.parameters(weights, Set.of(Role.PROJECTOR));
      try (Projector projector = Projector.of(new Slashed(from), name, type, FEATURES, hidden)) {
        from.requireAllRead();
        Tape tape = bed.tape();
        Array x = bed.array(inputs.tensor("x." + patches));
        Tensor in = Tensor.constant(x.reshape((long) IMAGES * patches, FEATURES));
        Tensor out = projector.forward(tape, in, patches);
        bed.agree("out", out, wanted);
        Array d = bed.array(expected.tensor(at + "w"));
        tape.backward(out, d.reshape(out.data().shape()));
        for (Parameter p : projector.parameters()) {
          String own = p.name().substring(name.length() + 1);
          float[] want = expected.tensor(at + "grad/" + own).floats();
          float[] got = bed.gradients.getOrDefault(p.name(), new float[want.length]);
          VisionBed.agree("gradient of " + own, got, want);
        }
      }
    }
  }

  /** The golden file has a slash between a projector's name and its parameter's. */
  private record Slashed(ParameterFactory from) implements ParameterFactory {
    @Override
    public Backend backend() {
      return from.backend();
    }

    @Override
    public Parameter parameter(String name, Role role, Init init, long... shape) {
      return from.parameter(name.replaceFirst("[.]", "/"), role, init, shape);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "linear, 729, 729",
    "mlp2x_gelu, 729, 729",
    "identity, 729, 729",
    "spp_v1, 729, 169",
    "spp_v3, 16, 4",
    "ldp, 729, 196",
    "ldp, 16, 4",
    "vanilla, 576, 144",
    "minigpt, 576, 144"
  })
  void aTypeTellsHowManyTokensItLeaves(String name, int patches, int tokens) {
    assertThat(ProjectorType.of(name).tokens(patches)).isEqualTo(tokens);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          vanilla | 729 | 12 | 24 | takes patches by 4, and 729 patches are no multiple
          minigpt | 729 | 12 | 24 | takes patches by 4
          spp_v2 | 728 | 12 | 24 | needs a square of patches, not 728
          spp_v2 | 1 | 12 | 24 | 1 patches leave no token
          ldp | 15 | 12 | 24 | needs a square of patches
          ldp | 16 | 12 | 20 | hidden_size=20 is no multiple of 8
          identity | 16 | 12 | 24 | features of 12 do not fit hidden_size=24
          spp | 16 | 12 | 24 | known projectors are linear
          """)
  void whatCannotFitIsRefused(String name, int patches, int features, int hidden, String why) {
    assertThatThrownBy(
            () -> {
              ProjectorType type = ProjectorType.of(name);
              type.requireWidths(features, hidden);
              type.tokens(patches);
            })
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mm_projector_type")
        .hasMessageContaining(why);
  }

  @ParameterizedTest
  @MethodSource("io.moextend.vision.VisionBed#backends")
  void featuresOfAnotherWidthAreRefused(String backend) {
    try (var bed = new VisionBed(backend);
        WeightSource inputs = VisionBed.open("moiie/projectors/inputs.safetensors")) {
      var from = new Slashed(bed.parameters(inputs, Set.of()));
      try (Projector projector =
          Projector.of(from, "mlp2x_gelu", ProjectorType.of("mlp2x_gelu"), FEATURES, 20)) {
        Tape tape = Tape.off(bed.backend, bed.arena);
        Array wide = bed.backend.floats(bed.arena, DType.F32, new float[26], 2, 13);
        assertThatThrownBy(() -> projector.forward(tape, Tensor.constant(wide), 1))
            .isInstanceOf(ShapeException.class)
            .hasMessageContaining("image features has shape [2, 13], wanted [-1, 12]");
      }
    }
  }
}
