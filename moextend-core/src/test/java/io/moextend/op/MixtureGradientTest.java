package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.moe.Modalities;
import io.moextend.moe.ModalityRouter;
import io.moextend.moe.MoeLayer;
import io.moextend.moe.Router;
import io.moextend.moe.TokenGroup;
import io.moextend.moe.TopKRouter;
import io.moextend.moe.TwoGateRouter;
import io.moextend.nn.SwiGlu;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Routers, balance losses and noise: backwards are the derivatives of forwards. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class MixtureGradientTest {
  private static final int TOKENS = 6;
  private static final int HIDDEN = 3;
  private static final int WIDTH = 2;

  private Backend b;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("nd4j", new Options(1, 0));
  }

  @AfterAll
  void close() {
    b.close();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void gatesOverOverlappingWindows(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      layer(c, TwoGateRouter.of(gates(c, 3, 3), 1, 2), 0, seed);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void gatesOverSeparateWindows(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      layer(c, TwoGateRouter.of(gates(c, 2, 3), 2, 2), 0, seed);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void oneGateForAll(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      Weight gate = c.weight(List.of(c.parameter(4, HIDDEN)), List.of());
      layer(c, new TopKRouter(gate, 2, null), 0, seed);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void byModality(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      layer(c, new ModalityRouter(), 0, seed);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void noiseOnTheInput(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      layer(c, TwoGateRouter.of(gates(c, 3, 3), 1, 2), 0.3, seed);
    }
  }

  private static Weight gates(GradientCheck c, int vision, int text) {
    return c.weight(List.of(c.parameter(vision, HIDDEN), c.parameter(text, HIDDEN)), List.of());
  }

  /** Output of a layer with this router, and each group's balance loss over it twice. */
  private void layer(GradientCheck c, Router router, double jitter, long seed) {
    var experts = new ArrayList<SwiGlu>();
    for (int e = 0; e < router.experts(); e++) {
      experts.add(
          new SwiGlu(
              c.weight(List.of(c.parameter(2 * WIDTH, HIDDEN)), List.of()),
              c.weight(List.of(c.parameter(HIDDEN, WIDTH)), List.of())));
    }
    var layer = new MoeLayer(router, experts, jitter);
    byte[] types = types(seed);
    byte[] counted = new byte[TOKENS];
    Arrays.fill(counted, 0, TOKENS - 1, (byte) 1);
    c.input(TOKENS, HIDDEN).agree((t, x) -> run(t, x.getFirst(), layer, types, counted));
  }

  private static List<Tensor> run(Tape t, Tensor x, MoeLayer layer, byte[] types, byte[] counted) {
    Modalities modalities = Modalities.of(t.backend(), t.arena(), types, TOKENS);
    MoeLayer.Result result = layer.forward(t, new Router.Tokens(x, modalities, null, 7L), null);
    var outs = new ArrayList<Tensor>(List.of(result.hidden()));
    Router.@Nullable Scores scores = result.decision().scores();
    if (scores != null) {
      for (Router.Window window : layer.windows()) {
        outs.add(balance(t, scores, modalities.among(window.group(), counted), window));
      }
    }
    return outs;
  }

  private static Tensor balance(Tape t, Router.Scores scores, byte[] mask, Router.Window window) {
    Array counts = t.backend().bytes(t.arena(), mask, mask.length);
    return BalanceLoss.apply(
        t,
        List.of(scores.probabilities()),
        List.of(scores.columns()),
        counts,
        BalanceForm.POOLED,
        window.columns());
  }

  /** Two patches at least that are routed as vision, and text. */
  private static byte[] types(long seed) {
    byte[] types = {1, 1, 1, 0, 0, 0};
    types[4] = (byte) new Random(seed).nextInt(2);
    return types;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void aGateWhoseGroupHasNoTokenGetsZeros(long seed) {
    try (var c = new GradientCheck(b, seed)) {
      Parameter vision = c.parameter(3, HIDDEN);
      Weight gates = c.weight(List.of(vision, c.parameter(3, HIDDEN)), List.of());
      Router router = TwoGateRouter.of(gates, 1, 2);
      byte[] text = new byte[TOKENS];
      c.input(TOKENS, HIDDEN)
          .agree(
              (t, x) -> {
                var modalities = Modalities.of(t.backend(), t.arena(), text, TOKENS);
                Router.Decision decision =
                    router.route(t, new Router.Tokens(x.getFirst(), modalities, null, null));
                Router.Scores scores = java.util.Objects.requireNonNull(decision.scores());
                byte[] none = modalities.among(TokenGroup.VISION, new byte[TOKENS]);
                return List.of(
                    decision.weights(), balance(t, scores, none, router.windows().getFirst()));
              });
    }
  }
}
