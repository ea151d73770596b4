package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.eval.Greedy.Pictures;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import io.moextend.model.OpenModel;
import io.moextend.model.Watch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The published models' greedy answers, text alone and with an image. */
class GreedyTest {
  @ParameterizedTest
  @CsvSource({
    "cpu, VisionMixtralForCausalLM/vision_align",
    "nd4j, VisionMixtralForCausalLM/vision_align",
    "cpu, MoExtendForCausalLM/moextend_ft_rand",
    "nd4j, MoExtendForCausalLM/moextend_ft_rand"
  })
  void theAnswersAreThePublishedModels(String backendName, String name) throws IOException {
    JsonNode cases =
        new ObjectMapper()
            .readTree(Golden.path("moextend/quirks_check.json").toFile())
            .get("generate")
            .get(name);
    assertThat(cases).isNotEmpty();
    Path folder = Golden.path("moextend/" + name.substring(name.indexOf('/') + 1));
    HuggingFaceConfig config = HuggingFaceConfig.read(folder);
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(folder), config.decoder(), backend, DType.F32, Set.of(), 0)) {
      var greedy = new Greedy(backend, model.decoder());
      for (JsonNode one : cases) {
        int[] prompt = ints(one.get("prompt_ids"));
        List<Integer> streamed = new ArrayList<>();
        int[] answer =
            greedy.extend(
                prompt,
                pictures(one.get("text").asText(), prompt, config.decoder().vision(), folder),
                12,
                token -> token == 2,
                streamed::add);
        assertThat(answer).containsExactly(ints(one.get("new_ids")));
        assertThat(streamed).hasSize(answer.length);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, hf/hf_mixtral",
    "nd4j, hf/hf_mixtral",
    "cpu, hf/hf_llama",
    "cpu, hf/hf_llama31",
    "cpu, hf/hf_mistral",
    "cpu, hf/hf_qwen2",
    "cpu, hf/hf_phi3",
    "cpu, hf/hf_phi3_longrope",
    "nd4j, hf/hf_phi3_longrope",
    "cpu, moiie/moiie_phi3",
    "nd4j, moiie/moiie_phi3",
    "cpu, moiie/moiie_llama3"
  })
  void theAnswerIsThatOfRunningTheWholeSequenceForEachToken(String backendName, String name) {
    Path folder = Golden.path(name);
    int[] prompt = {1, 17, 93, 4, 55, 21, 8};
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(folder),
                HuggingFaceConfig.read(folder).decoder(),
                backend,
                DType.F32,
                Set.of(),
                0)) {
      int[] ids = Arrays.copyOf(prompt, prompt.length + 30);
      for (int n = prompt.length; n < ids.length; n++) {
        ids[n] = behind(backend, model.decoder(), Arrays.copyOf(ids, n));
      }
      int[] answer =
          new Greedy(backend, model.decoder())
              .extend(prompt, null, 30, token -> false, token -> {});
      assertThat(answer).containsExactly(Arrays.copyOfRange(ids, prompt.length, ids.length));
    }
  }

  /** The most likely token behind a sequence, from one pass over all of it. */
  private static int behind(Backend backend, Decoder model, int[] ids) {
    try (Arena arena = backend.arena("behind")) {
      var input =
          new ModelInput(
              1, ids.length, backend.ints(arena, ids, ids.length), null, null, List.of());
      Tape tape = Tape.off(backend, arena);
      Tensor hidden = model.forward(tape, input, false, Watch.NONE).hidden();
      Array last = hidden.data().slice(ids.length - 1L, ids.length);
      Array logits = model.logits(tape, Tensor.constant(last)).data();
      return backend.toInts(backend.topK(arena, logits, 1))[0];
    }
  }

  private static @Nullable Pictures pictures(
      String text, int[] prompt, @Nullable VisionConfig vision, Path folder) {
    if (vision == null || !text.contains("<image>")) {
      return null;
    }
    var preprocessing = ClipPreprocessing.read(folder.resolve("preprocessor_config.json"));
    Path file =
        Golden.path("moextend/data").resolve(text.replaceAll("(?s).*<image>(.*)</image>.*", "$1"));
    return new Pictures(preprocessing.pixels(new ImageDecoder().read(file)), slots(prompt, vision));
  }

  /** Those strictly between {@code <image>} and {@code </image>}. */
  private static int[] slots(int[] prompt, VisionConfig vision) {
    int start =
        IntStream.range(0, prompt.length)
            .filter(i -> prompt[i] == vision.imageStart())
            .findFirst()
            .orElseThrow();
    int end =
        IntStream.range(0, prompt.length)
            .filter(i -> prompt[i] == vision.imageEnd())
            .findFirst()
            .orElseThrow();
    return IntStream.range(start + 1, end).toArray();
  }

  private static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).asInt();
    }
    return values;
  }
}
