package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.moe.Modalities;
import io.moextend.moe.MoeLayer;
import io.moextend.moe.Router;
import io.moextend.moe.Router.Window;
import io.moextend.moe.TokenGroup;
import io.moextend.op.BalanceLoss;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Mixed layers, and whole decoders of them, against numbers of the published code. */
class MixedGoldenTest {
  @TempDir Path folder;

  private static Stream<Arguments> on(List<String> cases) {
    return Stream.of("cpu", "nd4j").flatMap(b -> cases.stream().map(name -> Arguments.of(b, name)));
  }

  static Stream<Arguments> layers() {
    return on(
        List.of(
            "moiie_llama3", "moiie_phi3", "vanilla_phi3", "modality_phi3", "routed_modality_phi3"));
  }

  static Stream<Arguments> decoders() {
    return layers();
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("layers")
  void everyMixedLayerGivesWhatThePublishedOneGives(String backend, String name)
      throws IOException {
    try (var c = new MixedCase(backend, name, folder)) {
      Tape tape = Tape.off(c.backend, c.arena);
      var routings = new ArrayList<Routing>();
      var names = new MixedNames(c.parameters(), c.config);
      for (int index : c.mixed().layers()) {
        var built = names.feedForward("model.layers." + index + ".mlp", c.mixed(), index);
        try (MoeLayer layer = ((DecoderLayer.FeedForward.Mixture) built).layer()) {
          routings.addAll(layer(c, tape, layer, index));
        }
      }
      assertThat(routings).hasSize(name.startsWith("modality") ? 0 : c.mixed().layers().size());
      compareBalances(c, tape, routings);
    }
  }

  private static List<Routing> layer(MixedCase c, Tape tape, MoeLayer layer, int index) {
    Array in = c.floats(c.arena, "mlp_in." + index).reshape(c.tokens(), c.config.hidden());
    byte[] types = c.types();
    var modalities = Modalities.of(c.backend, c.arena, types, c.length());
    var tokens = new Router.Tokens(Tensor.constant(in), modalities, null, null);
    MoeLayer.Result result = layer.forward(tape, tokens, null);
    c.compare("mlp_out." + index, result.hidden().data());
    Router.Scores scores = result.decision().scores();
    if (scores == null) {
      return List.of();
    }
    var routing =
        new Routing(
            index,
            scores.logits(),
            scores.probabilities(),
            result.decision().chosen(),
            scores.columns(),
            layer.windows(),
            modalities);
    compareRouting(c, routing);
    return List.of(routing);
  }

  /** The published files have a table for each group, of its own tokens and columns. */
  private static void compareRouting(MixedCase c, Routing routing) {
    for (Window window : routing.windows()) {
      String group = prefix(window.group());
      int[] rows = routing.rows(window);
      Array of = c.backend.ints(c.arena, rows, rows.length);
      int until = window.column() + window.columns();
      Array logits = c.backend.gatherRows(c.arena, routing.logits().data(), of);
      c.compare(
          group + "_router_logits." + routing.layer(),
          c.backend.columns(c.arena, logits, window.column(), until));
      int[] local = c.ints(group + "_selected_experts." + routing.layer());
      assertThat(c.backend.toInts(c.backend.gatherRows(c.arena, routing.chosen(), of)))
          .as("%s of layer %d", group, routing.layer())
          .containsExactly(IntStream.of(local).map(i -> i + window.expert()).toArray());
    }
  }

  private static String prefix(TokenGroup group) {
    return switch (group) {
      case ALL -> "all";
      case VISION -> "vis";
      case TEXT -> "lan";
    };
  }

  private static void compareBalances(MixedCase c, Tape tape, List<Routing> routings) {
    byte[] counted = c.bytes("merged.attention_mask");
    for (Window window : routings.isEmpty() ? List.<Window>of() : routings.getFirst().windows()) {
      Modalities modalities = java.util.Objects.requireNonNull(routings.getFirst().modalities());
      byte[] mask = modalities.among(window.group(), counted);
      Tensor loss =
          BalanceLoss.apply(
              tape,
              routings.stream().map(Routing::probabilities).toList(),
              routings.stream().map(Routing::columns).toList(),
              c.backend.bytes(c.arena, mask, mask.length),
              BalanceForm.POOLED,
              window.columns());
      c.compare(window.group().loss(), loss.data());
    }
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("decoders")
  void aWholeDecoderGivesThePublishedStatesAndLosses(String backend, String name)
      throws IOException {
    try (var c = new MixedCase(backend, name, folder);
        var decoder = new Decoder(c.parametersOverTheBatch(), c.config);
        Arena arena = c.backend.arena("step")) {
      Tape tape = Tape.off(c.backend, arena);
      Decoder.Output output = decoder.forward(tape, input(c, arena), false, c::compare);
      output.routings().forEach(routing -> compareRouting(c, routing));
      c.compare("logits", decoder.logits(tape, output.hidden()).data());
      compareTerms(c, terms(c, tape, decoder, output, arena), "");
    }
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("decoders")
  void theGradientsOfAllItsWeightsAreThePublishedOnes(String backend, String name)
      throws IOException {
    for (boolean checkpointing : new boolean[] {false, true}) {
      try (var c = new MixedCase(backend, name, folder);
          var decoder = new Decoder(c.parametersOverTheBatch(), c.config);
          Arena arena = c.backend.arena("step")) {
        Set<String> seen = new HashSet<>();
        Tape tape =
            Tape.recording(
                c.backend,
                arena,
                (p, d) -> {
                  assertThat(seen.add(p.name())).as(p.name()).isTrue();
                  c.compare("grad." + p.name(), d);
                });
        Decoder.Output output = decoder.forward(tape, input(c, arena), checkpointing, Watch.NONE);
        Tensor total = terms(c, tape, decoder, output, arena).total();
        tape.backward(total, c.backend.floats(arena, DType.F32, new float[] {1}, 1));
        assertThat(seen)
            .containsExactlyInAnyOrderElementsOf(
                decoder.parameters().stream()
                    .filter(Parameter::requiresGrad)
                    .map(Parameter::name)
                    .toList())
            .anyMatch(n -> n.endsWith(".1.mlp.gate.weight") != name.startsWith("modality"));
      }
    }
  }

  static Stream<Arguments> textOnly() {
    return on(List.of("moiie_llama3", "moiie_phi3", "routed_modality_phi3"));
  }

  @ParameterizedTest(name = "{1} on {0}")
  @MethodSource("textOnly")
  void aBatchWithoutImagesHasThePublishedLosses(String backend, String name) throws IOException {
    try (var c = new MixedCase(backend, name, folder);
        var decoder = new Decoder(c.parameters(), c.config);
        Arena arena = c.backend.arena("text")) {
      Tape tape = Tape.off(c.backend, arena);
      int[] ids = c.ints("text_only.input_ids");
      int rows = (int) c.expected.tensor("text_only.input_ids").shape()[0];
      var input =
          new ModelInput(
              rows,
              ids.length / rows,
              c.backend.ints(arena, ids, ids.length),
              null,
              null,
              List.of());
      Decoder.Output output = decoder.forward(tape, input, false, Watch.NONE);
      c.compare("text_only.logits", decoder.logits(tape, output.hidden()).data());
      var labels =
          CausalLoss.Labels.of(c.backend, arena, c.ints("text_only.labels"), ids.length / rows);
      CausalLoss.Terms terms =
          CausalLoss.published(c.config).of(tape, decoder, output, labels, null);
      c.compare("text_only.loss", terms.total().data());
      terms.balances().forEach((g, loss) -> c.compare("text_only." + g.loss(), loss.data()));
      assertThat(c.backend.toDouble(terms.balances().get(TokenGroup.VISION).data())).isZero();
    }
  }

  private static ModelInput input(MixedCase c, Arena arena) {
    int[] ids = IntStream.range(0, c.tokens()).toArray();
    byte[] mask = c.bytes("merged.attention_mask");
    return new ModelInput(
        c.batch(),
        c.length(),
        c.backend.ints(arena, ids, ids.length),
        c.backend.bytes(arena, mask, c.batch(), c.length()),
        null,
        List.of(),
        c.backend.bytes(arena, c.types(), c.tokens()),
        null);
  }

  private static CausalLoss.Terms terms(
      MixedCase c, Tape tape, Decoder decoder, Decoder.Output output, Arena arena) {
    byte[] mask = c.bytes("merged.attention_mask");
    var labels = CausalLoss.Labels.of(c.backend, arena, c.ints("merged.labels"), c.length());
    return CausalLoss.published(c.config)
        .of(tape, decoder, output, labels, c.backend.bytes(arena, mask, mask.length));
  }

  private static void compareTerms(MixedCase c, CausalLoss.Terms terms, String prefix) {
    c.compare(prefix + "loss", terms.total().data());
    c.compare(prefix + "ce_loss", terms.languageModel().data());
    terms.balances().forEach((group, loss) -> c.compare(prefix + group.loss(), loss.data()));
  }

  @ParameterizedTest
  @MethodSource("layers")
  void everyWeightHasTheRoleItsNameSays(String backend, String name) throws IOException {
    try (var c = new MixedCase(backend, name, folder)) {
      var names = new MixedNames(c.parameters(), c.config);
      Set<Role> roles = new HashSet<>();
      for (int index : List.of(0, 1)) {
        switch (names.feedForward("model.layers." + index + ".mlp", c.mixed(), index)) {
          case DecoderLayer.FeedForward.Dense(var network) -> {
            network.visit(p -> check(c, p, roles));
            network.close();
          }
          case DecoderLayer.FeedForward.Mixture(MoeLayer layer) -> {
            layer.visit(p -> check(c, p, roles));
            layer.close();
          }
        }
      }
      assertThat(roles).contains(Role.FEED_FORWARD, Role.EXPERT);
    }
  }

  private static void check(MixedCase c, Parameter p, Set<Role> roles) {
    assertThat(ParameterRoles.of(p.name(), c.config)).as(p.name()).isEqualTo(p.role());
    roles.add(p.role());
  }
}
