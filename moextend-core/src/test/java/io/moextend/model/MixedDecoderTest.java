package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.config.Scheme;
import io.moextend.model.MixedModel.Asked;
import io.moextend.model.MixedModel.Pass;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What must hold of a decoder with mixed layers, whatever its weights are. */
class MixedDecoderTest {
  private static final long SEED = 20261122;
  private static final String LAYER = "model.layers.1.mlp.";
  private static final Scheme MOIIE = new Scheme.Moiie(4, 2, 0.01, 0.02, 0);
  private static final int[] IDS = MixedModel.ids(SEED);

  static Stream<Scheme> schemes() {
    return Stream.of(
        MOIIE,
        new Scheme.Moiie(8, 3, 0.01, 0.02, 0),
        new Scheme.Vanilla(5, 2, 0.01, 0),
        new Scheme.Modality(),
        new Scheme.RoutedModality(3, 2, 2, 0.01, 0.02));
  }

  private static MixedModel model(Scheme scheme) {
    return new MixedModel("cpu", scheme, SEED);
  }

  private static void near(float[] got, float[] want, double off, String what) {
    assertThat(got).as("seed %d: size of %s", SEED, what).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      assertThat((double) got[i])
          .as("seed %d: %s [%d]", SEED, what, i)
          .isCloseTo(want[i], within(off * (1 + Math.abs(want[i]))));
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void bothBackendsGiveTheSameNumbers(Scheme scheme) {
    try (var cpu = model(scheme);
        var other = new MixedModel("nd4j", scheme, SEED)) {
      Pass got = cpu.run(IDS, Asked.PLAIN);
      Pass want = other.run(IDS, Asked.PLAIN);
      near(got.hidden(), want.hidden(), 1e-4, "hidden");
      assertThat(got.loss()).isCloseTo(want.loss(), within(1e-4));
      assertThat(got.balances().keySet()).isEqualTo(want.balances().keySet());
      got.balances()
          .forEach(
              (name, loss) ->
                  assertThat(loss).as(name).isCloseTo(want.balances().get(name), within(1e-5)));
      assertThat(got.gradients().keySet()).isEqualTo(want.gradients().keySet());
      got.gradients()
          .forEach((name, d) -> near(d, want.gradients().get(name), 2e-4, "gradient of " + name));
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void clonedExpertsGiveWhatTheDenseNetworkGives(Scheme scheme) {
    try (var mixed = model(scheme);
        var dense = model(new Scheme.Modality())) {
      List<String> names =
          mixed.decoder.parameters().stream()
              .map(p -> p.name())
              .filter(
                  name ->
                      name.startsWith(LAYER)
                          && !name.contains(".gate.")
                          && !name.contains(".gate_vis."))
              .toList();
      // in a modality layer both experts are one network: no router has a say
      for (String expert : List.of("vision_expert", "language_expert")) {
        for (String part : List.of(".gate_proj.weight", ".up_proj.weight", ".down_proj.weight")) {
          dense.set(LAYER + expert + part, dense.values(LAYER + "vision_expert" + part));
        }
      }
      for (String name : names) {
        String part = name.substring(name.lastIndexOf('.', name.lastIndexOf('.') - 1));
        mixed.set(name, dense.values(LAYER + "vision_expert" + part));
      }
      near(
          mixed.run(IDS, Asked.PLAIN).hidden(),
          dense.run(IDS, Asked.PLAIN).hidden(),
          1e-5,
          "hidden");
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void uniformLogitsGiveBalanceLossesOfTopK(Scheme scheme) {
    try (var mixed = model(scheme)) {
      for (String gate : List.of("gate.weight", "gate_vis.weight")) {
        mixed.decoder.parameters().stream()
            .filter(p -> p.name().equals(LAYER + gate))
            .forEach(p -> mixed.set(p.name(), new float[(int) p.size()]));
      }
      Pass pass = mixed.run(IDS, Asked.PLAIN);
      assertThat(pass.balances().size())
          .isEqualTo(
              switch (scheme) {
                case Scheme.Moiie _, Scheme.RoutedModality _ -> 2;
                case Scheme.Vanilla _ -> 1;
                case Scheme.Modality() -> 0;
              });
      assertThat(pass.balances().values())
          .allSatisfy(loss -> assertThat(loss).isCloseTo(scheme.topK(), within(1e-5)));
    }
  }

  @Test
  void aBatchWithoutVisionHasNoVisionLossAndZerosForTheVisionGate() {
    try (var mixed = model(MOIIE)) {
      var text = new Asked(new byte[MixedModel.TOKENS], List.of(), null, true);
      Pass pass = mixed.run(IDS, text);
      assertThat(pass.balances().get("aux_loss_vis")).isZero();
      assertThat(pass.balances().get("aux_loss_lan")).isPositive();
      assertThat(pass.gradients().get(LAYER + "gate_vis.weight")).containsOnly(0f);
      // who has a gradient does not depend on the batch: ranks with and without images agree
      assertThat(pass.gradients().keySet())
          .isEqualTo(mixed.run(IDS, Asked.PLAIN).gradients().keySet());
      assertThat(pass.chosen().getFirst()).doesNotContain(0);
    }
  }

  @Test
  void tokensChooseAmongTheExpertsOfTheirWindowAlone() {
    try (var mixed = model(new Scheme.Moiie(8, 3, 0, 0, 0))) {
      int[] chosen = mixed.run(IDS, Asked.PLAIN).chosen().getFirst();
      byte[] types = MixedModel.types();
      for (int i = 0; i < chosen.length; i++) {
        int t = i / 3;
        boolean vision =
            t % MixedModel.LENGTH < MixedModel.LENGTH - 1 && types[t] == 1 && types[t + 1] == 1;
        assertThat(chosen[i]).as("token %d", t).isBetween(vision ? 0 : 2, vision ? 5 : 7);
      }
      assertThat(Arrays.stream(chosen).distinct().count()).as("experts in use").isEqualTo(8);
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void rowsThatAreAskedForAreThoseOfTheWhole(Scheme scheme) {
    try (var mixed = model(scheme)) {
      float[] all = mixed.run(IDS, Asked.PLAIN).hidden();
      int[] rows = {2, 4, 12, 30};
      float[] got = mixed.rows(IDS, rows);
      int width = all.length / MixedModel.TOKENS;
      for (int r = 0; r < rows.length; r++) {
        near(
            Arrays.copyOfRange(got, r * width, (r + 1) * width),
            Arrays.copyOfRange(all, rows[r] * width, (rows[r] + 1) * width),
            1e-5,
            "row " + rows[r]);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void aRecordedChoiceReplays(Scheme scheme) {
    try (var mixed = model(scheme)) {
      Pass free = mixed.run(IDS, Asked.PLAIN);
      Pass replayed = mixed.run(IDS, new Asked(MixedModel.types(), free.chosen(), null, false));
      assertThat(replayed.hidden()).isEqualTo(free.hidden());
      assertThat(replayed.balances()).isEqualTo(free.balances());
    }
  }

  @Test
  void anExpertOutOfATokensReachCannotBeForced() {
    try (var mixed = model(MOIIE)) {
      int[] chosen = mixed.run(IDS, Asked.PLAIN).chosen().getFirst();
      chosen[0] = 0; // token 0 is text
      var asked = new Asked(MixedModel.types(), List.of(chosen), null, false);
      assertThatThrownBy(() -> mixed.run(IDS, asked))
          .hasMessageContaining("expert 0 is forced on token 0, a text token")
          .hasMessageContaining("experts 1 to 3");
    }
  }

  @ParameterizedTest
  @MethodSource("schemes")
  void promptAndThenTokenByTokenIsTheWholeSequence(Scheme scheme) {
    try (var mixed = model(scheme);
        Arena arena = mixed.backend.arena("pass");
        var cache =
            new KeyValueCache(
                mixed.backend, mixed.decoder.config(), DType.F32, MixedModel.LENGTH)) {
      int width = mixed.decoder.config().hidden();
      float[] whole = mixed.run(IDS, Asked.PLAIN).hidden();
      int prompt = 6; // the image of the first row, and a word
      for (int from = 0; from < MixedModel.LENGTH; from = from == 0 ? prompt : from + 1) {
        int until = from == 0 ? prompt : from + 1;
        int[] ids = Arrays.copyOfRange(IDS, from, until);
        byte[] types = Arrays.copyOfRange(MixedModel.types(), from, until);
        var input =
            new ModelInput(
                1,
                ids.length,
                mixed.backend.ints(arena, ids, ids.length),
                null,
                null,
                List.of(),
                mixed.backend.bytes(arena, types, types.length),
                null);
        Tape tape = Tape.off(mixed.backend, arena);
        float[] got =
            mixed.backend.toFloats(
                arena, mixed.decoder.extend(tape, input, List.of(cache), null).hidden().data());
        near(got, Arrays.copyOfRange(whole, from * width, until * width), 1e-5, "tokens " + from);
      }
    }
  }

  @Test
  void noiseComesFromItsSeedAloneAndACheckpointDrawsItAgain() {
    try (var mixed = model(new Scheme.Moiie(4, 2, 0.01, 0.01, 0.2))) {
      byte[] types = MixedModel.types();
      Pass none = mixed.run(IDS, Asked.PLAIN);
      Pass first = mixed.run(IDS, new Asked(types, List.of(), 1L, false));
      Pass again = mixed.run(IDS, new Asked(types, List.of(), 1L, true));
      Pass second = mixed.run(IDS, new Asked(types, List.of(), 2L, false));
      assertThat(again.hidden()).isEqualTo(first.hidden());
      first.gradients().forEach((name, d) -> near(again.gradients().get(name), d, 1e-6, name));
      assertThat(second.hidden()).isNotEqualTo(first.hidden());
      assertThat(none.hidden()).isNotEqualTo(first.hidden());
    }
    try (var mixed = model(MOIIE)) {
      Pass none = mixed.run(IDS, Asked.PLAIN);
      Pass asked = mixed.run(IDS, new Asked(MixedModel.types(), List.of(), 1L, false));
      assertThat(asked.hidden()).as("a model without jitter").isEqualTo(none.hidden());
    }
  }

  @Test
  void imageSlotsAreVisionWhereNobodySaysMore() {
    try (var mixed = model(MOIIE);
        Arena arena = mixed.backend.arena("input")) {
      int[] slots = IntStream.range(1, 5).toArray();
      var features = mixed.backend.floats(arena, DType.F32, new float[4], 4, 1);
      var images = new ModelInput.Images.Features(features, mixed.backend.ints(arena, slots, 4));
      var ids = mixed.backend.ints(arena, new int[8], 8);
      var input = new ModelInput(1, 8, ids, null, images, List.of());
      Tape tape = Tape.off(mixed.backend, arena);
      var modalities = input.modalities(tape, mixed.decoder.config());
      assertThat(modalities).isNotNull();
      assertThat(modalities.tokensOf(io.moextend.moe.TokenGroup.VISION)).containsExactly(1, 2, 3);
      assertThat(modalities.tokensOf(io.moextend.moe.TokenGroup.TEXT))
          .containsExactly(0, 4, 5, 6, 7);
    }
  }
}
