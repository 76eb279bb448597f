"""Every map that ships: a file in the shape of its system's header, counted by csv, and what may be rejected of it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.core.money import decimals
from orderctl.importing.column_map import _SIGNS, map_names, named_map, recognised
from orderctl.importing.figures import SourceRequest
from orderctl.importing.service import FileImport, import_orders
from orderctl.importing.source import open_source
from orderctl.orders.eligibility import Mode, eligible_sql, refusal
from orderctl.orders.orders import Order, Status
from support.factories import FixedClock

READ_AT = datetime(2026, 9, 1, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
# What a case of a sample has to be here: which modes may reject the order.
MAY_BE_REJECTED = {
    "open": {Mode.BULK, Mode.INDIVIDUAL},
    "confirmed": {Mode.INDIVIDUAL},
    "delivered": set(),
    "invoiced": set(),
    "cancelled": set(),
    "closed": set(),
}
Cells = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A header as the system's documentation has it, one order of two lines, and what each case changes of it.

    `line` is a second row of the order: what it does not name is empty, or as in the first row with `repeats`. A case is a
    word of `MAY_BE_REJECTED`, then anything. `cannot` names the cases that the export cannot tell.
    """

    header: str
    id: str
    order: Cells
    cases: Mapping[str, Cells]
    line: Cells = field(default_factory=dict)
    apart: Cells = field(default_factory=dict)
    repeats: bool = True
    delimiter: str = ","
    quantity: str = ""
    price: str = ""
    amount: str = ""
    total: str = ""
    currency: str = ""
    ordered: tuple[str, ...] = ()
    form: str = "%Y-%m-%d %H:%M:%S"
    decimal_comma: bool = False
    cannot: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        return self.header.split("|")


SHOPIFY_STATES = {
    "open": {},
    "open (authorized)": {"Financial Status": "authorized"},
    "confirmed: paid": {"Financial Status": "paid"},
    "confirmed: paid in part": {"Financial Status": "partially_paid"},
    "confirmed: unknown": {"Financial Status": "in dispute"},
    "confirmed: nothing": {"Financial Status": ""},
    "delivered": {"Financial Status": "pending", "Fulfillment Status": "partial"},
    "delivered by a line": {"Lineitem fulfillment status": "fulfilled"},
    "cancelled": {"Cancelled at": "2026-01-08 10:00:00 +0200"},
    "cancelled: voided": {"Financial Status": "voided"},
    "closed": {"Financial Status": "refunded"},
}
SHOPIFY_ORDER = {
    "Email": "lea@maison.example", "Financial Status": "pending", "Fulfillment Status": "unfulfilled", "Currency": "EUR",
    "Total": "58.90", "Created at": "2026-01-07 09:50:26 +0200", "Lineitem quantity": "2", "Lineitem name": "Shirt",
    "Lineitem price": "12.00", "Lineitem sku": "LN-10", "Billing Name": "Léa Martin", "Billing Country": "FR",
    "Lineitem fulfillment status": "pending",
}  # fmt: skip
SHOPIFY_LINE = {"Lineitem quantity": "1", "Lineitem name": "Belt", "Lineitem price": "29.90", "Lineitem sku": "B-1"}
WITH_OFFSET = "%Y-%m-%d %H:%M:%S %z"
ODOO_LINE = {"Order Lines/Product": "Lamp", "Order Lines/Quantity": "1.00", "Order Lines/Unit Price": "270.00"}

SAMPLES = {
    "shopify": Sample(
        header="Name|Email|Financial Status|Paid at|Fulfillment Status|Fulfilled at|Currency|Subtotal|Shipping|Taxes|Total|"
        "Discount Code|Created at|Lineitem quantity|Lineitem name|Lineitem price|Lineitem sku|Lineitem fulfillment status|"
        "Billing Name|Billing Company|Billing Country|Shipping Name|Shipping Country|Notes|Cancelled at|Vendor|Id|Tags",
        id="Name", order=SHOPIFY_ORDER, cases=SHOPIFY_STATES, line=SHOPIFY_LINE, repeats=False,
        quantity="Lineitem quantity", price="Lineitem price", total="Total", currency="Currency", ordered=("Created at",),
        form=WITH_OFFSET,
    ),
    "squarespace": Sample(
        header="Order ID|Email|Financial Status|Paid at|Fulfillment Status|Fulfilled at|Currency|Subtotal|Shipping|Taxes|"
        "Amount Refunded|Total|Discount Code|Discount Amount|Shipping Method|Created at|Lineitem quantity|Lineitem name|"
        "Lineitem price|Lineitem sku|Lineitem variant|Lineitem requires shipping|Lineitem taxable|"
        "Lineitem fulfillment status|Billing Name|Billing Country|Shipping Name|Shipping Country|Cancelled at|Private Notes",
        id="Order ID", order=SHOPIFY_ORDER,
        cases={**SHOPIFY_STATES, "delivered: CANCELED": {"Fulfillment Status": "CANCELED"}},
        line=SHOPIFY_LINE, repeats=False, quantity="Lineitem quantity", price="Lineitem price", total="Total",
        currency="Currency", ordered=("Created at",), form=WITH_OFFSET,
    ),
    "matrixify": Sample(
        header="ID|Name|Command|Email|Note|Tags|Created At|Cancelled At|Processed At|Currency|Price: Total|Payment: Status|"
        "Order Fulfillment Status|Customer: Email|Billing: Company|Billing: Country Code|Row #|Top Row|Line: Type|Line: Title|"
        "Line: SKU|Line: Quantity|Line: Price|Line: Discount|Line: Fulfillment Status|Transaction: Kind|Transaction: Amount|"
        "Fulfillment: Status",
        id="Name",
        order={
            "Currency": "EUR", "Price: Total": "58.90", "Payment: Status": "pending", "Created At": "2026-01-07 09:50:26 +0200",
            "Order Fulfillment Status": "unfulfilled", "Customer: Email": "lea@maison.example", "Line: Type": "Line Item",
            "Line: Title": "Shirt", "Line: SKU": "LN-10", "Line: Quantity": "2", "Line: Price": "12.00", "Top Row": "TRUE",
        },
        line={"Line: Type": "Line Item", "Line: Title": "Belt", "Line: Quantity": "1", "Line: Price": "29.90"},
        apart={"Line: Type": "Shipping Line", "Line: Title": "DHL", "Line: Quantity": "1", "Line: Price": "5.00"},
        repeats=False, quantity="Line: Quantity", price="Line: Price", total="Price: Total", currency="Currency",
        ordered=("Created At",), form=WITH_OFFSET,
        cases={
            "open": {}, "confirmed: paid": {"Payment: Status": "paid"}, "confirmed: unknown": {"Payment: Status": "x"},
            "delivered": {"Order Fulfillment Status": "fulfilled"},
            "delivered by a shipment": {"Fulfillment: Status": "success"},
            "cancelled": {"Cancelled At": "2026-01-08 09:50:26 +0200"}, "closed": {"Payment: Status": "refunded"},
        },
    ),
    "woocommerce": Sample(
        header="order_id|order_number_formatted|order_number|order_date|status|shipping_total|order_total|order_currency|"
        "payment_method|customer_id|billing_full_name|billing_company|billing_email|billing_country|customer_note|item_id|"
        "item_product_id|item_name|item_sku|item_quantity|item_subtotal|item_total|item_price",
        id="order_number_formatted",
        order={
            "order_id": "4967", "order_date": "2026-01-06 16:50:00", "status": "pending", "order_total": "61.00",
            "order_currency": "GBP", "billing_email": "skye@shop.example", "billing_country": "GB", "item_name": "Scarf",
            "item_sku": "SC-1", "item_quantity": "3", "item_price": "12.00",
        },
        line={"item_name": "Hat", "item_sku": "H-1", "item_quantity": "1", "item_price": "25.00"},
        quantity="item_quantity", price="item_price", total="order_total", currency="order_currency", ordered=("order_date",),
        cases={
            "open": {}, "open (on hold)": {"status": "on-hold"}, "confirmed": {"status": "processing"},
            "delivered": {"status": "completed"}, "delivered: unknown": {"status": "sent-out"},
            "cancelled": {"status": "cancelled"}, "closed": {"status": "refunded"}, "closed: failed": {"status": "failed"},
        },
    ),
    "woocommerce-advanced": Sample(
        header="Order Number|Order Status|Order Date|Customer Note|First Name (Billing)|Last Name (Billing)|Company (Billing)|"
        "Country Code (Billing)|Email (Billing)|Phone (Billing)|Country Code (Shipping)|Payment Method Title|"
        "Order Total Amount|SKU|Item #|Name|Quantity|Item Cost",
        id="Order Number",
        order={
            "Order Status": "Pending payment", "Order Date": "2026-01-06 16:50", "Company (Billing)": "Shop Ltd",
            "Email (Billing)": "ann@shop.example", "Order Total Amount": "45.00", "SKU": "A-1", "Name": "Cup",
            "Quantity": "2", "Item Cost": "15.00",
        },
        line={"SKU": "A-2", "Name": "Pot", "Quantity": "1", "Item Cost": "15.00"}, repeats=False,
        quantity="Quantity", price="Item Cost", total="Order Total Amount", ordered=("Order Date",), form="%Y-%m-%d %H:%M",
        cases={
            "open": {}, "open (on hold)": {"Order Status": "On hold"}, "confirmed": {"Order Status": "Processing"},
            "delivered": {"Order Status": "Completed"}, "delivered: unknown": {"Order Status": "Sent out"},
            "cancelled": {"Order Status": "Cancelled"}, "closed": {"Order Status": "Refunded"},
        },
    ),
    "woocommerce-suite": Sample(
        header="order_id|order_number|order_date|paid_date|status|shipping_total|order_total|order_subtotal|order_currency|"
        "payment_method|customer_id|customer_email|billing_first_name|billing_company|billing_email|billing_country|"
        "shipping_country|customer_note|line_item_1|line_item_2",
        id="order_number",
        order={
            "order_id": "9", "order_date": "9/6/2026 6:29:00", "status": "pending", "order_total": "30.00",
            "order_currency": "USD", "billing_email": "ann@shop.example", "billing_country": "US",
            "line_item_1": "name:Cup|product_id:3|sku:A-1|quantity:2|total:30.00",
        },
        total="order_total", currency="order_currency", ordered=("order_date",), form="%m/%d/%Y %H:%M:%S",
        cases={
            "open": {}, "confirmed": {"status": "processing"}, "delivered": {"status": "completed"},
            "cancelled": {"status": "cancelled"}, "closed": {"status": "refunded"},
        },
    ),
    "odoo": Sample(
        header="Order Reference|Creation Date|Order Date|Customer|Salesperson|Company|Total|Currency|Status|Invoice Status|"
        "Delivery Status|Customer/Country|Order Lines/Display Type|Order Lines/Product|Order Lines/Description|"
        "Order Lines/Quantity|Order Lines/Delivered Quantity|Order Lines/Invoiced Quantity|Order Lines/Unit Price",
        id="Order Reference",
        order={
            "Order Date": "2026-01-06 16:50:00", "Customer": "Azure Interior", "Total": "1270.50", "Currency": "EUR",
            "Status": "Quotation Sent", "Invoice Status": "Nothing to Invoice", "Delivery Status": "Not Delivered",
            "Customer/Country": "Belgium", "Order Lines/Product": "Desk", "Order Lines/Quantity": "2.00",
            "Order Lines/Delivered Quantity": "0.00", "Order Lines/Unit Price": "500.25",
        },
        line=ODOO_LINE, apart={"Order Lines/Display Type": "Section", "Order Lines/Description": "Outdoor"}, repeats=False,
        quantity="Order Lines/Quantity", price="Order Lines/Unit Price", total="Total", currency="Currency",
        ordered=("Order Date",),
        cases={
            "open": {}, "open (quotation)": {"Status": "Quotation"}, "confirmed": {"Status": "Sales Order"},
            "confirmed: unknown": {"Status": "Waiting for approval"}, "delivered": {"Delivery Status": "Started"},
            "delivered by a line": {"Order Lines/Delivered Quantity": "1.00"},
            "invoiced": {"Invoice Status": "Fully Invoiced"}, "invoiced by a line": {"Order Lines/Invoiced Quantity": "0.5"},
            "cancelled": {"Status": "Cancelled"},
        },
    ),
    "odoo-technical": Sample(
        header="id|name|date_order|partner_id|state|amount_total|currency_id|invoice_status|delivery_status|"
        "order_line/display_type|order_line/product_id|order_line/name|order_line/product_uom_qty|order_line/qty_delivered|"
        "order_line/qty_invoiced|order_line/price_unit",
        id="name",
        order={
            "date_order": "2026-01-06 16:50:00", "partner_id": "Azure Interior", "state": "sent", "amount_total": "1270.50",
            "currency_id": "EUR", "invoice_status": "no", "delivery_status": "pending", "order_line/product_id": "Desk",
            "order_line/name": "Desk", "order_line/product_uom_qty": "2.0", "order_line/qty_delivered": "0.0",
            "order_line/qty_invoiced": "0.0", "order_line/price_unit": "500.25",
        },
        line={"order_line/product_id": "Lamp", "order_line/product_uom_qty": "1.0", "order_line/price_unit": "270.00"},
        apart={"order_line/display_type": "line_note", "order_line/name": "Call first"}, repeats=False,
        quantity="order_line/product_uom_qty", price="order_line/price_unit", total="amount_total", currency="currency_id",
        ordered=("date_order",),
        cases={
            "open": {}, "open (draft)": {"state": "draft"}, "confirmed": {"state": "sale"},
            "confirmed: unknown": {"state": "to approve"}, "delivered": {"delivery_status": "partial"},
            "delivered by a line": {"order_line/qty_delivered": "2.0"}, "invoiced": {"invoice_status": "invoiced"},
            "invoiced by a line": {"order_line/qty_invoiced": "1.0"}, "cancelled": {"state": "cancel"},
        },
    ),
    "etsy": Sample(
        header="Sale Date|Order ID|Buyer User ID|Full Name|First Name|Last Name|Number of Items|Payment Method|Date Shipped|"
        "Street 1|Street 2|Ship City|Ship State|Ship Zipcode|Ship Country|Currency|Order Value|Coupon Code|Coupon Details|"
        "Discount Amount|Shipping Discount|Shipping|Sales Tax|Order Total|Status|Card Processing Fees|Order Net|Buyer",
        id="Order ID",
        order={
            "Sale Date": "09/03/26", "Buyer User ID": "jdoe", "Full Name": "Jane Doe", "Number of Items": "2",
            "Ship City": "Kamloops", "Ship Country": "Canada", "Currency": "CAD", "Order Value": "68.00",
            "Order Total": "76.00", "Status": "Paid",
        },
        quantity="Number of Items", total="Order Total", currency="Currency", ordered=("Sale Date",), form="%m/%d/%y",
        cases={
            "confirmed": {}, "confirmed: nothing": {"Status": ""}, "confirmed: unknown": {"Status": "Open"},
            "delivered": {"Date Shipped": "09/05/26"}, "cancelled": {"Status": "Canceled"},
        },
    ),
    "etsy-items": Sample(
        header="Sale Date|Item Name|Buyer|Quantity|Price|Coupon Code|Coupon Details|Discount Amount|Shipping Discount|"
        "Order Shipping|Order Sales Tax|Item Total|Currency|Transaction ID|Listing ID|Date Paid|Date Shipped|Ship Name|"
        "Ship Address1|Ship Address2|Ship City|Ship State|Ship Zipcode|Ship Country|Order ID|Variations|SKU",
        id="Order ID",
        order={
            "Sale Date": "09/03/26", "Item Name": "Mug", "Buyer": "jdoe", "Quantity": "2", "Price": "34.00", "Currency": "CAD",
            "Listing ID": "1501", "Ship Name": "Jane Doe", "Ship Country": "Canada",
        },
        line={"Item Name": "Soap", "Quantity": "3", "Price": "9.00", "Listing ID": "1502"},
        quantity="Quantity", price="Price", currency="Currency", ordered=("Sale Date",), form="%m/%d/%y",
        cases={"confirmed": {}, "delivered": {"Date Shipped": "09/05/26"}}, cannot=frozenset({"cancelled"}),
    ),
    "amazon": Sample(
        header="amazon-order-id|merchant-order-id|purchase-date|last-updated-date|order-status|fulfillment-channel|"
        "sales-channel|order-channel|ship-service-level|product-name|sku|asin|item-status|quantity|currency|item-price|"
        "item-tax|shipping-price|ship-city|ship-state|ship-postal-code|ship-country|promotion-ids",
        id="amazon-order-id", delimiter="\t",
        order={
            "purchase-date": "2026-06-17T08:04:21+02:00", "order-status": "Pending", "product-name": "Case", "sku": "C-1",
            "item-status": "Unshipped", "quantity": "2", "currency": "EUR", "item-price": "89.90", "ship-country": "IT",
        },
        line={"sku": "C-2", "product-name": "Strap", "quantity": "3", "item-price": "10.50"},
        quantity="quantity", amount="item-price", currency="currency", ordered=("purchase-date",), form="%Y-%m-%dT%H:%M:%S%z",
        cases={
            "open": {}, "confirmed": {"order-status": "Unshipped"}, "delivered": {"order-status": "Shipped"},
            "delivered in part": {"order-status": "PartiallyShipped"}, "delivered by a line": {"item-status": "Shipped"},
            "delivered: unknown": {"order-status": "Shipped - Returned"}, "cancelled": {"order-status": "Cancelled"},
        },
    ),
    "bigcommerce": Sample(
        header="Order ID|Customer ID|Customer Name|Customer Email|Customer Phone|Order Date|Order Time|Order Status|"
        "Subtotal (inc tax)|Subtotal (ex tax)|Tax Total|Order Total (inc tax)|Order Total (ex tax)|Payment Method|"
        "Total Quantity|Total Shipped|Date Shipped|Order Currency Code|Order Notes|Customer Message|Billing Company|"
        "Billing Country|Shipping Country|Product Details",
        id="Order ID",
        order={
            "Customer Email": "ann@shop.example", "Customer Name": "Ann Lee", "Order Date": "03/14/2026",
            "Order Time": "16:50:12", "Order Status": "Awaiting Payment", "Order Total (inc tax)": "45.50",
            "Total Quantity": "3", "Total Shipped": "0", "Order Currency Code": "AUD", "Billing Country": "Australia",
            "Product Details": "Product ID: 1, Product Qty: 3",
        },
        quantity="Total Quantity", total="Order Total (inc tax)", currency="Order Currency Code",
        ordered=("Order Date", "Order Time"), form="%m/%d/%Y %H:%M:%S",
        cases={
            "open": {}, "open (pending)": {"Order Status": "Pending"}, "confirmed": {"Order Status": "Awaiting Fulfillment"},
            "delivered": {"Order Status": "Completed"}, "delivered in part": {"Total Shipped": "1"},
            "delivered on a day": {"Date Shipped": "03/15/2026"}, "delivered: unknown": {"Order Status": "Sent"},
            "cancelled": {"Order Status": "Cancelled"}, "closed": {"Order Status": "Refunded"},
        },
    ),
    "magento": Sample(
        header="ID|Purchase Point|Purchase Date|Bill-to Name|Ship-to Name|Grand Total (Base)|Grand Total (Purchased)|Status|"
        "Billing Address|Shipping Address|Shipping Information|Customer Email|Customer Group|Subtotal|Shipping and Handling|"
        "Customer Name|Payment Method|Total Refunded|Allocated sources|Pickup Location Code",
        id="ID",
        order={
            "Purchase Point": "Main Website", "Purchase Date": "May 31, 2026 04:50:12 PM", "Bill-to Name": "Ann Lee",
            "Grand Total (Base)": "219.4000", "Grand Total (Purchased)": "219.4000", "Status": "Pending",
            "Customer Email": "ann@shop.example",
        },
        total="Grand Total (Purchased)", ordered=("Purchase Date",), form="%b %d, %Y %I:%M:%S %p",
        cases={
            "open": {}, "confirmed": {"Status": "On Hold"}, "invoiced": {"Status": "Processing"},
            "delivered": {"Status": "Complete"}, "invoiced: unknown": {"Status": "Packed"}, "cancelled": {"Status": "Canceled"},
            "closed": {"Status": "Closed"},
        },
    ),
    "wix": Sample(
        header="Order number|Date created|Time|Fulfill by|Total order quantity|Contact email|Note from customer|Item|Variant|"
        "SKU|Qty|Quantity refunded|Price|Delivery method|Recipient name|Recipient company name|Delivery country|Delivery city|"
        "Delivery address|Billing name|Billing company name|Billing country|Payment status|Payment method|Shipping rate|"
        "Total tax|Total|Currency|Refunded amount|Net amount|Fulfillment status|Tracking number|Shipping label",
        id="Order number",
        order={
            "Date created": "Mar 8, 2026", "Time": "9:15:51 AM", "Contact email": "ann@shop.example", "Item": "Cup",
            "Variant": "Blue", "SKU": "A-1", "Qty": "2", "Price": "19.99", "Delivery country": "DEU", "Billing name": "Ann Lee",
            "Payment status": "Unpaid", "Total": "44.97", "Currency": "EUR", "Fulfillment status": "Unfulfilled",
        },
        line={"Item": "Pot", "Variant": "", "SKU": "A-2", "Qty": "1", "Price": "4.99"},
        quantity="Qty", price="Price", total="Total", currency="Currency", ordered=("Date created", "Time"),
        form="%b %d, %Y %I:%M:%S %p",
        cases={
            "open": {}, "confirmed": {"Payment status": "Paid"}, "confirmed: unknown": {"Payment status": "Offline"},
            "delivered": {"Fulfillment status": "Fulfilled"}, "delivered, tracked": {"Tracking number": "1Z9"},
            "cancelled": {"Payment status": "Canceled"}, "delivered: canceled": {"Fulfillment status": "Canceled"},
            "closed": {"Payment status": "Refunded"},
        },
    ),
    "tiendanube": Sample(
        header="Número de orden|Email|Fecha|Estado de la orden|Estado del pago|Estado del envío|Moneda|"
        "Subtotal de productos|Descuento|Costo de envío|Total|Nombre del comprador|DNI / CUIT|Teléfono|Nombre para el envío|"
        "Dirección|Ciudad|Código postal|País|Medio de pago|Notas del comprador|Fecha de pago|Fecha de envío|"
        "Nombre del producto|Precio del producto|Cantidad del producto|SKU|Fecha y hora de cancelación|Motivo de cancelación",
        id="Número de orden", delimiter=";", decimal_comma=True,
        order={
            "Email": "ana@tienda.example", "Fecha": "20/03/2026 10:00:00", "Estado de la orden": "Abierta",
            "Estado del pago": "Pendiente", "Estado del envío": "No está empaquetado", "Moneda": "ARS", "Total": "4.500,00",
            "Nombre del comprador": "Ana Pérez", "País": "Argentina", "Nombre del producto": "Taza",
            "Precio del producto": "1.000,00", "Cantidad del producto": "2", "SKU": "T-1",
        },
        line={"Nombre del producto": "Plato", "Precio del producto": "2000,00", "Cantidad del producto": "1", "SKU": "P-1"},
        repeats=False, quantity="Cantidad del producto", price="Precio del producto", total="Total", currency="Moneda",
        ordered=("Fecha",), form="%d/%m/%Y %H:%M:%S",
        cases={
            "open": {}, "confirmed": {"Estado del pago": "Recibido"}, "confirmed: unknown": {"Estado del pago": "En disputa"},
            "confirmed: unknown, closed": {"Estado de la orden": "Cerrada"}, "delivered": {"Estado del envío": "Enviado"},
            "delivered on a day": {"Fecha de envío": "21/03/2026"}, "delivered, on its way": {"Estado del envío": "En camino"},
            "cancelled": {"Estado de la orden": "Cancelada"}, "cancelled on a day": {"Fecha y hora de cancelación": "21/03/2026"},
        },
    ),
    "nuvemshop": Sample(
        header="Número do Pedido|E-mail|Data|Status do Pedido|Status do Pagamento|Status do Envio|Subtotal|Desconto|"
        "Valor do Frete|Total|Nome do comprador|CPF / CNPJ|Telefone|Endereço|Cupom de Desconto|Anotações do Comprador|"
        "Data de pagamento|Data de envío|Nome do Produto|Valor do Produto|Quantidade Comprada|SKU|Meio de pagamento",
        id="Número do Pedido", delimiter=";",
        order={
            "E-mail": "rafa@loja.example", "Data": "10/03/2026 09:30:00", "Status do Pedido": "Aberto",
            "Status do Pagamento": "Pendente", "Status do Envio": "Não está embalado", "Total": "194.80",
            "Nome do comprador": "Rafael", "Nome do Produto": "Kit", "Valor do Produto": "99.90", "Quantidade Comprada": "1",
            "SKU": "K-1",
        },
        line={"Nome do Produto": "Fator", "Valor do Produto": "79.90", "Quantidade Comprada": "1", "SKU": "F-1"},
        repeats=False, quantity="Quantidade Comprada", price="Valor do Produto", total="Total", ordered=("Data",),
        form="%d/%m/%Y %H:%M:%S",
        cases={
            "open": {}, "confirmed": {"Status do Pagamento": "Confirmado"},
            "confirmed: unknown, refused": {"Status do Pagamento": "Recusado"}, "delivered": {"Status do Envio": "Entregue"},
            "cancelled": {"Status do Pedido": "Cancelado"},
        },
    ),
    "faire": Sample(
        header="Order Date|Order Number|Purchase Order Number|Retailer Name|Address 1|Address 2|City|State|Zip Code|Country|"
        "Product Name|Option Name|SKU|GTIN|Status|Quantity|Wholesale Price|Retail Price|Ship Date|Scheduled Order Date|Notes",
        id="Order Number",
        order={
            "Order Date": "2026-03-14", "Retailer Name": "Corner Shop", "Country": "United States", "Product Name": "Candle",
            "Option Name": "Fig", "SKU": "C-1", "Status": "New", "Quantity": "6", "Wholesale Price": "9.50",
            "Ship Date": "No ship date",
        },
        line={"Product Name": "Soap", "Option Name": "", "SKU": "S-1", "Quantity": "12", "Wholesale Price": "3.25"},
        quantity="Quantity", price="Wholesale Price", ordered=("Order Date",), form="%Y-%m-%d",
        cases={
            "open": {}, "confirmed": {"Status": "Unfulfilled"}, "delivered": {"Status": "Fulfilled"},
            "delivered: unknown": {"Status": "In transit"}, "cancelled": {"Status": "Canceled"},
        },
    ),
    "erpnext": Sample(
        header="ID|Series|Customer|Customer Name|Order Type|Date|Delivery Date|Company|Currency|Grand Total|Status|% Delivered|"
        "% Amount Billed|ID (Items)|Item Code (Items)|Item Name (Items)|Quantity (Items)|Delivered Qty (Items)|Rate (Items)",
        id="ID",
        order={
            "Customer": "CUST-1", "Customer Name": "Corner Shop", "Order Type": "Sales", "Date": "2026-03-14",
            "Currency": "INR", "Grand Total": "450.00", "Status": "Draft", "% Delivered": "0", "% Amount Billed": "0.0",
            "Item Code (Items)": "W-1", "Item Name (Items)": "Widget", "Quantity (Items)": "10.0", "Rate (Items)": "15.00",
        },
        line={"Item Code (Items)": "W-2", "Quantity (Items)": "4.0", "Rate (Items)": "75.00"}, repeats=False,
        quantity="Quantity (Items)", price="Rate (Items)", total="Grand Total", currency="Currency", ordered=("Date",),
        form="%Y-%m-%d",
        cases={
            "open": {}, "confirmed": {"Status": "To Deliver and Bill"}, "delivered": {"Status": "To Bill"},
            "delivered in part": {"% Delivered": "12.5"}, "delivered by a line": {"Delivered Qty (Items)": "1.0"},
            "invoiced": {"Status": "To Deliver"}, "invoiced in part": {"% Amount Billed": "50"},
            "invoiced: completed": {"Status": "Completed"}, "invoiced: unknown": {"Status": "Sent"},
            "cancelled": {"Status": "Cancelled"}, "closed": {"Status": "Closed"},
        },
    ),
    "tryton": Sample(
        header="id|number|reference|state|shipment_state|invoice_state|sale_date|create_date|shipping_date|currency.code|"
        "total_amount|comment|payment_term.name|party.id|party.code|party.name|party.email|party.lang.code|"
        "shipment_address.country.code|shipment_address.full_address|invoice_address.full_address|lines.type|"
        "lines.product.code|lines.product.name|lines.description|lines.quantity|lines.unit_price",
        id="id",
        order={
            "number": "S7", "state": "quotation", "shipment_state": "none", "invoice_state": "none",
            "sale_date": "2026-03-14", "currency.code": "EUR", "total_amount": "32.50", "party.code": "B1",
            "party.name": "Shop", "party.email": "b1@b.example", "lines.type": "line", "lines.product.code": "LN-10",
            "lines.product.name": "Shirt", "lines.quantity": "2", "lines.unit_price": "10.00",
        },
        line={
            "lines.product.code": "B-1", "lines.product.name": "Belt", "lines.quantity": "1", "lines.unit_price": "12.50",
        },
        quantity="lines.quantity", price="lines.unit_price", total="total_amount", currency="currency.code",
        ordered=("sale_date",), form="%Y-%m-%d",
        cases={
            "open": {}, "open: draft": {"state": "draft", "number": ""}, "confirmed": {"state": "confirmed"},
            "confirmed: processing": {"state": "processing"}, "delivered: done": {"state": "done"},
            "delivered": {"state": "processing", "shipment_state": "waiting"},
            "delivered in part": {"shipment_state": "partially shipped"}, "delivered: unknown": {"state": "frozen"},
            "invoiced": {"state": "processing", "invoice_state": "pending"}, "cancelled": {"state": "cancelled"},
        },
    ),
    "online-retail": Sample(
        header="InvoiceNo|StockCode|Description|Quantity|InvoiceDate|UnitPrice|CustomerID|Country",
        id="InvoiceNo",
        order={
            "StockCode": "85123A", "Description": "HOLDER", "Quantity": "6", "InvoiceDate": "01/12/2010 08:26",
            "UnitPrice": "2.55", "CustomerID": "17850", "Country": "United Kingdom",
        },
        line={"StockCode": "71053", "Description": "LANTERN", "Quantity": "6", "UnitPrice": "3.39"},
        quantity="Quantity", price="UnitPrice", ordered=("InvoiceDate",), form="%d/%m/%Y %H:%M",
        cases={"open": {}, "cancelled": {"InvoiceNo": "C536365"}}, cannot=frozenset({"delivered"}),
    ),
}  # fmt: skip
CURRENCIES = {
    "woocommerce-advanced": "EUR",
    "magento": "EUR",
    "nuvemshop": "BRL",
    "faire": "USD",
    "online-retail": "GBP",
}
ZONES = {"online-retail": ZoneInfo("Europe/London")}


def rows_of(name: str) -> dict[str, list[dict[str, str]]]:
    """For each case the rows of its order: two lines where the export has lines, and one that is none."""
    sample, found = SAMPLES[name], {}
    for number, (case, changed) in enumerate(sample.cases.items()):
        first = {sample.id: f"{name.upper()}-{number}", **sample.order, **changed}
        below = [first if sample.repeats else {sample.id: first[sample.id]}] if sample.line else []
        found[case] = [
            first,
            *({**row, **sample.line} for row in below),
            *({**row, **sample.apart} for row in below if sample.apart),
        ]
    return found


def written(folder: Path, name: str, header: list[str] | None = None) -> Path:
    """A file of the system with an order for each case; the header may be written in another way."""
    sample = SAMPLES[name]
    path = folder / (f"{name}.txt" if sample.delimiter == "\t" else f"{name}.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=sample.delimiter)
        writer.writerow(header or sample.columns)
        for rows in rows_of(name).values():
            for row in rows:
                assert set(row) <= set(sample.columns), set(row) - set(sample.columns)
                writer.writerow([row.get(column, "") for column in sample.columns])
    return path


def request_of(name: str) -> SourceRequest:
    """What has to be said beside the file: a currency that it does not name, and the zone of times without one."""
    said = {} if SAMPLES[name].currency or name == "online-retail" else {"currency": CURRENCIES[name]}
    return SourceRequest(defaults=said, time_zone=None if name in ZONES else str(ZONE))


def read(path: Path, name: str) -> dict[str, Order]:
    with open_source(path, request_of(name), read_at=READ_AT) as source:
        assert source.map_name == name
        assert list(source.problems()) == []
        return {order.id: order for order in source.orders()}


def number(text: str, sample: Sample) -> Decimal:
    return Decimal(text.replace(".", "").replace(",", ".") if sample.decimal_comma else text)


def counted(path: Path, name: str) -> dict[str, tuple]:
    """Of each order its lines, pieces, total, currency and time, counted by csv and nothing of the program."""
    sample, found = SAMPLES[name], {}
    mark = next(iter(sample.apart.items()), None)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter=sample.delimiter):
            empty = {"first": row, "lines": 0, "pieces": 0, "sum": Decimal(0)}
            order = found.setdefault(row[sample.id].removeprefix("#"), empty)
            if mark and row[mark[0]] == mark[1]:
                continue
            pieces = Decimal(row[sample.quantity]) if sample.quantity else 0
            amount = number(row[sample.amount], sample) if sample.amount else None
            order["lines"] += bool(sample.line)
            order["pieces"] += pieces
            order["sum"] += pieces * number(row[sample.price], sample) if sample.price else amount or 0
    return {order_id: expected(order, name) for order_id, order in found.items()}


def expected(order: Mapping, name: str) -> tuple:
    sample, first = SAMPLES[name], order["first"]
    total = number(first[sample.total], sample) if sample.total else order["sum"]
    currency = first[sample.currency] if sample.currency else CURRENCIES[name]
    written_as = " ".join(first[column] for column in sample.ordered)
    at = datetime.strptime(written_as, sample.form)  # noqa: DTZ007 - as the file has it
    at = at if at.tzinfo else at.replace(tzinfo=ZONES.get(name, ZONE))
    return order["lines"], int(order["pieces"]), int(total * 10 ** decimals(currency)), currency, at.astimezone(UTC)


def test_every_named_map_has_a_sample_that_tells_open_delivered_and_cancelled():
    assert tuple(sorted(SAMPLES)) == map_names()
    for name, sample in SAMPLES.items():
        cases = {case.split()[0].rstrip(":,") for case in sample.cases}
        assert cases <= set(MAY_BE_REJECTED)
        assert {"delivered", "cancelled"} - sample.cannot <= cases, name


@pytest.mark.parametrize("name", SAMPLES)
def test_orders_lines_totals_currencies_and_times_are_those_that_csv_counts(tmp_path, name):
    path = written(tmp_path, name)
    orders = read(path, name)
    assert {
        order.id: (len(order.lines), order.quantity, order.total, order.currency, order.ordered_at)
        for order in orders.values()
    } == counted(path, name)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_delivered_invoiced_cancelled_or_unknown_there_is_not_rejectable_here(tmp_path, name):
    orders, rows = read(written(tmp_path, name), name), rows_of(name)
    assert len(orders) == len(rows)
    for case, (first, *_) in rows.items():
        order = orders[first[SAMPLES[name].id]]
        kind = case.split()[0].rstrip(":,")
        assert {mode for mode in Mode if refusal(order, mode) is None} == MAY_BE_REJECTED[kind], case
        assert (order.status is Status.REJECTED) == (kind == "cancelled"), case
        assert (order.delivery_notes > 0) >= (kind == "delivered"), case
        assert (order.invoices > 0) >= (kind == "invoiced"), case
        assert ("unknown" in case) == ("Status: " in order.note), case


def test_a_store_rejects_of_all_systems_no_more_than_what_is_open(store, tmp_path):
    rejectable = set()
    for name, sample in SAMPLES.items():
        rejectable |= {rows[0][sample.id] for case, rows in rows_of(name).items() if case.startswith("open")}
        with open_source(written(tmp_path, name), request_of(name), read_at=READ_AT) as source:
            file = FileImport(source=source, actor="ann", clock=FixedClock(), detail=name)
            assert import_orders(store, file, skip_bad=False).counts.created == len(sample.cases)
    with store.snapshot() as connection:
        found = {row[0] for row in connection.execute(f"SELECT id FROM orders WHERE {eligible_sql(Mode.BULK)}")}
    assert found == {order_id.removeprefix("#") for order_id in rejectable}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_header_in_other_case_and_with_other_spaces_is_read_alike(tmp_path, name):
    (tmp_path / "as it is").mkdir()
    as_it_is = read(written(tmp_path / "as it is", name), name)
    other = [f"  {column.swapcase().replace(' ', '  ')} " for column in SAMPLES[name].columns]
    assert read(written(tmp_path, name, other), name) == as_it_is


def test_sections_and_notes_of_odoo_are_no_lines_whether_their_kind_is_exported_or_not(tmp_path):
    sample = SAMPLES["odoo"]
    columns = [column for column in sample.columns if column != "Order Lines/Display Type"]
    section = {"Order Lines/Description": "Outdoor", "Order Lines/Quantity": "0.00", "Order Lines/Unit Price": "0.00"}
    product = {name: cell for name, cell in sample.order.items() if name.startswith("Order Lines/")}
    with (tmp_path / "odoo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        # A section may be the first line of an order, on the row that holds its fields.
        writer.writerow({**sample.order, "Order Reference": "S1", **dict.fromkeys(product, ""), **section})
        writer.writerows([product, ODOO_LINE, section])
    with open_source(tmp_path / "odoo.csv", request_of("odoo"), read_at=READ_AT) as source:
        [order] = source.orders()
        assert (source.figures.lines_left_out, list(source.problems())) == (2, [])
    assert [(line.sku, line.quantity) for line in order.lines] == [("Desk", 2), ("Lamp", 1)]
    assert (order.total, order.status) == (127_050, Status.OC_CREATED)


def test_an_order_that_amazon_cancelled_has_neither_price_nor_currency(tmp_path):
    sample = SAMPLES["amazon"]
    gone = {"order-status": "Cancelled", "item-status": "Cancelled", "quantity": "0", "currency": "", "item-price": ""}
    with (tmp_path / "amazon.txt").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sample.columns, delimiter="\t")
        writer.writeheader()
        writer.writerow({**sample.order, "amazon-order-id": "1"})
        writer.writerow({**sample.order, "amazon-order-id": "1", **gone, "order-status": "Pending"})
        writer.writerow({**sample.order, "amazon-order-id": "2", **gone})
    with open_source(tmp_path / "amazon.txt", SourceRequest(defaults={"currency": "EUR"}), read_at=READ_AT) as source:
        assert list(source.problems()) == []
        found = {order.id: (order.total, order.quantity, order.status) for order in source.orders()}
    assert found == {"1": (8_990, 2, Status.NEEDS_OC), "2": (0, 0, Status.REJECTED)}


def test_the_currency_of_an_order_that_amazon_cancelled_is_that_of_its_channel(tmp_path):
    sample = SAMPLES["amazon"]
    gone = {**sample.order, "order-status": "Cancelled", "currency": "", "item-price": ""}
    with (tmp_path / "amazon.txt").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sample.columns, delimiter="\t")
        writer.writeheader()
        for channel in ("Amazon.co.uk", "Amazon.co.jp", "Non-Amazon"):
            writer.writerow({**gone, "amazon-order-id": channel, "sales-channel": channel})
    with open_source(tmp_path / "amazon.txt", SourceRequest(), read_at=READ_AT) as source:
        assert [(problem.row, problem.value) for problem in source.problems()] == [(4, "")]
        assert {order.id: order.currency for order in source.orders()} == {"Amazon.co.uk": "GBP", "Amazon.co.jp": "JPY"}


@given(st.data())
def test_no_system_is_taken_for_another_whatever_columns_there_are_beside_its_own(data):
    name = data.draw(st.sampled_from(sorted(SAMPLES)))
    signs = named_map(name).recognised_by
    more = data.draw(
        st.lists(st.sampled_from([*SAMPLES[name].columns, "Notes 2", "Custom field", "Status", "Total", "SKU"]))
    )
    header = data.draw(st.permutations([*signs, *more]))
    header = [data.draw(st.sampled_from([column, column.upper(), f" {column.lower()}  "])) for column in header]
    assert recognised(header) == name
    lost = data.draw(st.sampled_from(signs)).lower()
    assert recognised([column for column in header if column.strip().lower() != lost]) is None


def test_no_map_knows_the_columns_by_which_another_is_known():
    signs = {name: {sign.lower() for sign in named_map(name).recognised_by} for name in map_names()}
    for name, columns in signs.items():
        assert recognised(SAMPLES[name].columns) == name
        assert not [other for other, known in signs.items() if other != name and known <= columns]
        # The whole map is not read to recognise a file: what stands on that line has to be all.
        line = _SIGNS.search(Path(named_map(name).file).read_text(encoding="utf-8"))
        assert line[0].count('"') == 2 * len(named_map(name).recognised_by)
