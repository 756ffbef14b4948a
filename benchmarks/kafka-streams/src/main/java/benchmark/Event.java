package benchmark;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;

/** What the job reads of a record of {@code products}; everything else is skipped. */
@JsonIgnoreProperties(ignoreUnknown = true)
record Event(
    @JsonProperty("event_id") String eventId,
    @JsonProperty("action") String action,
    @JsonProperty("timestamp") String timestamp,
    @JsonProperty("product") Product product,
    @JsonProperty("old_price") String oldPrice) {

  @JsonIgnoreProperties(ignoreUnknown = true)
  record Product(
      @JsonProperty("product_id") long productId,
      @JsonProperty("product_name") String productName,
      @JsonProperty("description") String description,
      @JsonProperty("price") String price,
      @JsonProperty("stock_quantity") int stockQuantity,
      @JsonProperty("discount") String discount,
      @JsonProperty("created_at") String createdAt,
      @JsonProperty("updated_at") String updatedAt) {}
}
