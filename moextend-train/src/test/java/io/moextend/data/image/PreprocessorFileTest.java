package io.moextend.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PreprocessorFileTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;
  private ObjectNode clip;

  @BeforeEach
  void thePublishedFile() throws IOException {
    clip =
        (ObjectNode)
            JSON.readTree(Golden.path("moextend/clip_tiny/preprocessor_config.json").toFile());
  }

  private ClipPreprocessing read(String json) throws IOException {
    return ClipPreprocessing.read(Files.writeString(folder.resolve("p.json"), json));
  }

  private void refused(String json, String what) {
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(ImageException.class)
        .hasMessage(folder.resolve("p.json") + ": " + what);
  }

  @Test
  void openAisOldSpellingIsRead() throws IOException {
    assertThat(
            read(
                """
                {"crop_size": 336, "do_center_crop": true, "do_normalize": true, "do_resize": true,
                 "feature_extractor_type": "CLIPFeatureExtractor",
                 "image_mean": [0.48145466, 0.4578275, 0.40821073],
                 "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 336}"""))
        .isEqualTo(ClipPreprocessing.clip(336));
  }

  @Test
  void siglipStretches() throws IOException {
    ClipPreprocessing siglip =
        read(
            """
            {"do_normalize": true, "do_rescale": true, "do_resize": true, "do_convert_rgb": null,
             "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "SiglipImageProcessor",
             "image_std": [0.5, 0.5, 0.5], "processor_class": "SiglipProcessor", "resample": 3,
             "rescale_factor": 0.00392156862745098, "size": {"height": 384, "width": 384}}""");
    assertThat(siglip.fit()).isEqualTo(new ClipPreprocessing.Fit.Stretch());
    assertThat(siglip.size()).isEqualTo(384);
    assertThat(siglip.mean()).isEqualTo(List.of(0.5, 0.5, 0.5));
  }

  @Test
  void everySettingThatChangesNumbersIsReadOrRefused() throws IOException {
    assertThat(read(clip.toString())).isEqualTo(ClipPreprocessing.clip(24));
    refused(
        clip.deepCopy().put("resample", 2).toString(), "resample=2: only 3 (bicubic) is supported");
    refused(
        clip.deepCopy().put("do_normalize", false).toString(),
        "do_normalize=false: only true is supported");
    refused(
        clip.deepCopy().put("do_pad", true).toString(),
        "do_pad=true: is not known and might change numbers; take it out");
    refused(
        clip.deepCopy().put("do_center_crop", false).toString(),
        "do_center_crop=false: needs size.height and size.width");
    ObjectNode oblong = clip.deepCopy();
    oblong.putObject("crop_size").put("height", 24).put("width", 32);
    refused(
        oblong.toString(),
        "crop_size={\"height\":24,\"width\":32}: must be a number or {\"height\": n, \"width\": n},"
            + " both the same");
    ObjectNode two = clip.deepCopy();
    two.putArray("image_std").add(0.5).add(0.5);
    refused(two.toString(), "image_std=[0.5,0.5]: must be three numbers");
    assertThatThrownBy(() -> read(clip.deepCopy().put("crop_size", 30).toString()))
        .hasMessageStartingWith("size.shortest_edge=24: must be between crop_size=30 and");
    assertThat(read(clip.deepCopy().put("rescale_factor", 0.5).toString()).rescale())
        .isEqualTo(0.5);
    assertThat(read(clip.deepCopy().put("crop_size", 20).toString()))
        .returns(20, ClipPreprocessing::size)
        .returns(new ClipPreprocessing.Fit.ShortestEdge(24), ClipPreprocessing::fit);
  }
}
