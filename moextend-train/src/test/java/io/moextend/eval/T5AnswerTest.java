package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.stream.StreamSupport;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A T5's greedy answers, against those of Hugging Face's generate. */
class T5AnswerTest {
  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({"cpu, hf_t5", "nd4j, hf_t5", "cpu, hf_t5_v10", "nd4j, hf_t5_v10"})
  void theAnswersAreHuggingFaces(String backendName, String name) throws IOException {
    Path folder = Golden.path("hf/" + name);
    JsonNode golden = new ObjectMapper().readTree(folder.resolve("answers.json").toFile());
    int most = golden.get("most").intValue();
    int ended = 0;
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        AdaptedT5 t5 = AdaptedT5.open(folder, null, backend, DType.F32)) {
      var answerer = new T5Answer(backend, t5.model());
      int eos = t5.model().config().tokens().eos();
      assertThat(golden.get("answers")).hasSizeGreaterThan(3);
      for (JsonNode one : golden.get("answers")) {
        var seen = new ArrayList<Integer>();
        int[] got = answerer.to(ids(one.get("inputs")), most, token -> token == eos, seen::add);
        assertThat(got).isEqualTo(ids(one.get("answer")));
        assertThat(seen.stream().mapToInt(token -> token).toArray()).isEqualTo(got);
        ended += got.length < most ? 1 : 0;
        assertThat(one.get("ended").booleanValue()).isEqualTo(got.length < most);
      }
    }
    assertThat(ended).isBetween(1, golden.get("answers").size() - 1);
  }

  private static int[] ids(JsonNode list) {
    return StreamSupport.stream(list.spliterator(), false).mapToInt(JsonNode::intValue).toArray();
  }
}
