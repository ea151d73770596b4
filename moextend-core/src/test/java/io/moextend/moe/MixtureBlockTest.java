package io.moextend.moe;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.nn.SwiGlu;
import io.moextend.op.BalanceLoss;
import io.moextend.op.Weight;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Single layers in double precision against numbers that were worked out apart from this code:
 * golden/moiie/blocks.json. Its weights come from a generator of their own, in a fixed order.
 */
class MixtureBlockTest {
  private static final int HIDDEN = 4;
  private static final int WIDTH = 6;
  private static final int LENGTH = 6;
  private static final Offset<Double> NEAR = Offset.offset(1e-12);

  private final List<Weight> weights = new ArrayList<>();
  private final List<Weight> gates = new ArrayList<>();
  private final List<List<SwiGlu>> experts = new ArrayList<>();
  private Backend backend;
  private Arena arena;
  private JsonNode golden;
  private Weight vanillaGate;
  private Tape tape;
  private Modalities modalities;
  private Tensor x;
  private long state = 20250813;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() throws IOException {
    golden = new ObjectMapper().readTree(Golden.path("moiie/blocks.json").toFile());
    backend = Backends.open("nd4j", new Options(1, 0));
    arena = backend.arena("blocks");
    tape = Tape.off(backend, arena);
    for (int block = 0; block < 2; block++) {
      Parameter text = parameter(3, HIDDEN);
      gates.add(weight(parameter(3, HIDDEN), text));
      var networks = new ArrayList<SwiGlu>();
      for (int e = 0; e < 4; e++) {
        networks.add(
            new SwiGlu(weight(parameter(2 * WIDTH, HIDDEN)), weight(parameter(HIDDEN, WIDTH))));
      }
      experts.add(networks);
    }
    vanillaGate = weight(parameter(4, HIDDEN));
    x = parameter(2 * LENGTH, HIDDEN);
    byte[] types = new byte[2 * LENGTH];
    for (int t = 0; t < types.length; t++) {
      types[t] = (byte) cell("token_type_ids", t).asInt();
    }
    modalities = Modalities.of(backend, arena, types, LENGTH);
  }

  private Weight weight(Parameter... parts) {
    Weight weight = Weight.of(backend, parts);
    weights.add(weight);
    return weight;
  }

  private Parameter parameter(long... shape) {
    double[] values = new double[(int) Array.sizeOf(shape)];
    for (int i = 0; i < values.length; i++) {
      state = (state * 1103515245 + 12345) & 0x7fffffff;
      values[i] = (state / 0x1p31 - 0.5) * 2;
    }
    return new Parameter("p", Role.EXPERT, backend.doubles(arena, DType.F64, values, shape));
  }

  @AfterEach
  void close() {
    weights.forEach(Weight::close);
    arena.close();
    backend.close();
  }

  private JsonNode cell(String name, int token) {
    return golden.get(name).get(token / LENGTH).get(token % LENGTH);
  }

  @Test
  void theTokensOfTheFileAreThoseTheWeightsWereDrawnFor() {
    compare(x.data(), golden.get("x"));
  }

  @Test
  void theLastPatchOfARunIsText() {
    for (int t = 0; t < 2 * LENGTH; t++) {
      assertThat(modalities.isVision(t))
          .as("token %d", t)
          .isEqualTo(cell("vision_mask", t).asBoolean());
    }
  }

  @Test
  void aMoiieLayerGivesTheNumbersWorkedOutForIt() {
    for (int block = 0; block < 2; block++) {
      MoeLayer.Result result = moiie(block);
      compare(result.hidden().data(), golden.get("moiie_blocks").get(block).get("y"));
    }
  }

  @Test
  void lossesOfModalitiesArePooledOverLayersAndLeavePaddingOut() {
    var probabilities = new ArrayList<Tensor>();
    var columns = new ArrayList<Array>();
    for (int block = 0; block < 2; block++) {
      Router.Scores scores = scores(moiie(block));
      probabilities.add(scores.probabilities());
      columns.add(scores.columns());
    }
    assertThat(balance(probabilities, columns, TokenGroup.VISION, 3))
        .isCloseTo(golden.get("aux_loss_vis").asDouble(), NEAR);
    assertThat(balance(probabilities, columns, TokenGroup.TEXT, 3))
        .isCloseTo(golden.get("aux_loss_lan").asDouble(), NEAR);
  }

  @Test
  void oneGateForAllTokensGivesTheNumbersWorkedOutForIt() {
    var layer = new MoeLayer(new TopKRouter(vanillaGate, 2, null), experts.getFirst());
    MoeLayer.Result result = layer.forward(tape, tokens(), null);
    compare(result.hidden().data(), golden.get("vanilla_block0"));
    Router.Scores scores = scores(result);
    assertThat(
            balance(List.of(scores.probabilities()), List.of(scores.columns()), TokenGroup.ALL, 4))
        .isCloseTo(golden.get("vanilla_aux").asDouble(), NEAR);
  }

  @Test
  void anExpertForEachModalityGivesTheNumbersWorkedOutForIt() {
    var layer = new MoeLayer(new ModalityRouter(), experts.getFirst().subList(0, 2));
    MoeLayer.Result result = layer.forward(tape, tokens(), null);
    compare(result.hidden().data(), golden.get("modality_block0_vis=expert0_lan=expert1"));
    assertThat(result.decision().scores()).isNull();
  }

  @Test
  void aForcedChoiceOfExpertsIsTheRoutersOwnWhenItIsTheSame() {
    MoeLayer.Result free = moiie(0);
    var forced = new Router.Tokens(x, modalities, free.decision().chosen(), null);
    MoeLayer.Result again = moiieLayer(0).forward(tape, forced, null);
    compare(again.hidden().data(), golden.get("moiie_blocks").get(0).get("y"));
    assertThat(backend.toInts(scores(again).columns()))
        .containsExactly(backend.toInts(scores(free).columns()));
  }

  private MoeLayer moiieLayer(int block) {
    return new MoeLayer(TwoGateRouter.of(gates.get(block), 1, 2), experts.get(block));
  }

  private MoeLayer.Result moiie(int block) {
    return moiieLayer(block).forward(tape, tokens(), null);
  }

  private Router.Tokens tokens() {
    return new Router.Tokens(x, modalities, null, null);
  }

  private static Router.Scores scores(MoeLayer.Result result) {
    Router.Scores scores = result.decision().scores();
    if (scores == null) {
      throw new IllegalStateException("a layer that does not learn to route");
    }
    return scores;
  }

  private double balance(
      List<Tensor> probabilities, List<Array> columns, TokenGroup group, double factor) {
    byte[] counted = new byte[2 * LENGTH];
    for (int t = 0; t < counted.length; t++) {
      counted[t] = (byte) cell("attention_mask", t).asInt();
    }
    byte[] mask = modalities.among(group, counted);
    Tensor loss =
        BalanceLoss.apply(
            tape,
            probabilities,
            columns,
            backend.bytes(arena, mask, mask.length),
            BalanceForm.POOLED,
            factor);
    return backend.toDouble(loss.data());
  }

  private void compare(Array got, JsonNode want) {
    double[] values = new double[(int) got.size()];
    backend.copyOut(got, java.lang.foreign.MemorySegment.ofArray(values));
    int at = 0;
    for (JsonNode row : want) {
      for (JsonNode token : row) {
        for (JsonNode number : token) {
          assertThat(values[at]).as("number %d", at).isCloseTo(number.asDouble(), NEAR);
          at++;
        }
      }
    }
    assertThat(at).isEqualTo(values.length);
  }
}
