// plexgo 0.20.0 as its users call it: of the releases that can be had, the one nearest to the Go page's.
//
// One JSON request a line comes in, one JSON outcome a line goes out; `how` is `security` (WithSecurity) or
// `security_source` (WithSecuritySource). `options` are the page's options of one call, `context` is how its context
// ends, and `at_once` makes the call so many times at once on one client. Without `plex_tv` the SDK asks Plex's own
// addresses. This release gives no result for the two calls to a media server but keeps the response, which is read
// here.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/LukeHagar/plexgo"
	"github.com/LukeHagar/plexgo/models/components"
	"github.com/LukeHagar/plexgo/models/operations"
	"github.com/LukeHagar/plexgo/models/sdkerrors"
	"github.com/LukeHagar/plexgo/retry"
)

const identifier = "stranger-plexgo-0-20-0"

type ask struct {
	Call             string  `json:"call"`
	How              string  `json:"how"`
	PlexTV           *string `json:"plex_tv"`
	Server           string  `json:"server"`
	Token            string  `json:"token"`
	Login            string  `json:"login"`
	Password         string  `json:"password"`
	VerificationCode *string `json:"verification_code"`
	RememberMe       *bool   `json:"remember_me"`
	Source           string  `json:"source"`
	HTTPS            bool    `json:"https"`
	AtOnce           int     `json:"at_once"`
	Context          string  `json:"context"`
	Device           struct {
		ClientName     *string `json:"clientName"`
		DeviceNickname *string `json:"deviceNickname"`
		ClientVersion  *string `json:"clientVersion"`
		Platform       *string `json:"platform"`
	} `json:"device"`
	Options struct {
		ServerURL *string           `json:"server_url"`
		Headers   map[string]string `json:"headers"`
		Retries   *retry.Config     `json:"retries"`
		Timeout   *time.Duration    `json:"timeout"`
	} `json:"options"`
}

type outcome map[string]any

func made(a ask) *plexgo.PlexAPI {
	var options []plexgo.SDKOption
	if a.Server != "" {
		options = append(options, plexgo.WithServerURL(a.Server))
	}
	switch {
	case a.Token == "":
	case a.How == "security":
		options = append(options, plexgo.WithSecurity(a.Token))
	default:
		source := func(context.Context) (components.Security, error) {
			return components.Security{AccessToken: &a.Token}, nil
		}
		options = append(options, plexgo.WithSecuritySource(source))
	}
	return plexgo.New(options...)
}

// The options of one call.
func opts(a ask) []operations.Option {
	var options []operations.Option
	if a.PlexTV != nil && a.Call != "transient_token" && a.Call != "source" {
		options = append(options, operations.WithServerURL(*a.PlexTV+"/api/v2"))
	}
	if a.Options.ServerURL != nil {
		options = append(options, operations.WithServerURL(*a.Options.ServerURL))
	}
	if a.Options.Headers != nil {
		options = append(options, operations.WithSetHeaders(a.Options.Headers))
	}
	if a.Options.Retries != nil {
		options = append(options, operations.WithRetries(*a.Options.Retries))
	}
	if a.Options.Timeout != nil {
		options = append(options, operations.WithOperationTimeout(*a.Options.Timeout))
	}
	return options
}

// What a user of the SDK finds in its result, with the status.
func called(ctx context.Context, s *plexgo.PlexAPI, a ask) (int, outcome, error) {
	switch a.Call {
	case "sign_in":
		res, err := s.Authentication.PostUsersSignInData(ctx, operations.PostUsersSignInDataRequest{
			ClientID:       identifier,
			ClientName:     a.Device.ClientName,
			DeviceNickname: a.Device.DeviceNickname,
			ClientVersion:  a.Device.ClientVersion,
			Platform:       a.Device.Platform,
			RequestBody: &operations.PostUsersSignInDataRequestBody{
				Login:            a.Login,
				Password:         a.Password,
				RememberMe:       a.RememberMe,
				VerificationCode: a.VerificationCode,
			},
		}, opts(a)...)
		if err != nil || res.UserPlexAccount == nil {
			return 0, nil, err
		}
		found := res.UserPlexAccount
		return res.StatusCode, account(found.ID, found.Username, found.Email, found.AuthToken), nil
	case "token_details":
		res, err := s.Authentication.GetTokenDetails(ctx, opts(a)...)
		if err != nil || res.UserPlexAccount == nil {
			return 0, nil, err
		}
		found := res.UserPlexAccount
		return res.StatusCode, account(found.ID, found.Username, found.Email, found.AuthToken), nil
	case "resources":
		var https *operations.IncludeHTTPS
		if a.HTTPS {
			https = operations.IncludeHTTPSEnable.ToPointer()
		}
		res, err := s.Plex.GetServerResources(ctx, identifier, https, nil, nil, opts(a)...)
		if err != nil {
			return 0, nil, err
		}
		return res.StatusCode, resources(res.PlexDevices), nil
	case "transient_token":
		kind := operations.GetTransientTokenQueryParamTypeDelegation
		res, err := s.Authentication.GetTransientToken(ctx, kind, operations.ScopeAll, opts(a)...)
		if err != nil {
			return 0, nil, err
		}
		container, err := kept(res.RawResponse)
		return res.StatusCode, outcome{"token": container.Token}, err
	case "source":
		res, err := s.Authentication.GetSourceConnectionInformation(ctx, a.Source, opts(a)...)
		if err != nil {
			return 0, nil, err
		}
		container, err := kept(res.RawResponse)
		return res.StatusCode, container.source(), err
	}
	return 0, nil, errors.New("no such call: " + a.Call)
}

func account(id int, username, email, token string) outcome {
	return outcome{"id": id, "username": username, "email": email, "token": token}
}

func resources(devices []operations.PlexDevice) outcome {
	servers, addresses := map[string]string{}, map[string][]string{}
	for _, one := range devices {
		servers[one.Name] = one.AccessToken
		for _, connection := range one.Connections {
			addresses[one.Name] = append(addresses[one.Name], connection.URI)
		}
	}
	return outcome{"servers": servers, "addresses": addresses}
}

type container struct {
	Token  string `json:"token"`
	Device struct {
		Name             string `json:"name"`
		ClientIdentifier string `json:"clientIdentifier"`
		AccessToken      string `json:"accessToken"`
		Connection       []struct {
			URI string `json:"uri"`
		} `json:"Connection"`
	} `json:"Device"`
}

func (c container) source() outcome {
	var uris []string
	for _, connection := range c.Device.Connection {
		uris = append(uris, connection.URI)
	}
	device := c.Device
	return outcome{
		"name":              device.Name,
		"client_identifier": device.ClientIdentifier,
		"token":             device.AccessToken,
		"connections":       uris,
	}
}

// What is in the response that the SDK keeps.
func kept(res *http.Response) (container, error) {
	defer res.Body.Close()
	var body struct {
		MediaContainer container `json:"MediaContainer"`
	}
	err := json.NewDecoder(res.Body).Decode(&body)
	return body.MediaContainer, err
}

// The name of an error's type, and what it holds. A typed error's text is the refusal in JSON.
func refused(err error) outcome {
	name := strings.TrimPrefix(reflect.TypeOf(err).String(), "*sdkerrors.")
	var sdkError *sdkerrors.SDKError
	if errors.As(err, &sdkError) {
		return outcome{"raised": name, "status": sdkError.StatusCode, "body": sdkError.Body, "codes": []int{}}
	}
	var typed struct {
		Errors []struct {
			Code   int `json:"code"`
			Status int `json:"status"`
		} `json:"errors"`
	}
	if json.Unmarshal([]byte(err.Error()), &typed) != nil || len(typed.Errors) == 0 {
		ended := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
		return outcome{"raised": name, "message": err.Error(), "context_ended": ended}
	}
	codes := []int{}
	for _, one := range typed.Errors {
		codes = append(codes, one.Code)
	}
	return outcome{"raised": name, "status": typed.Errors[0].Status, "body": err.Error(), "codes": codes}
}

func answered(ctx context.Context, s *plexgo.PlexAPI, a ask) outcome {
	status, result, err := called(ctx, s, a)
	if err != nil {
		return refused(err)
	}
	return outcome{"status": status, "result": result}
}

func manyAnswered(ctx context.Context, s *plexgo.PlexAPI, a ask) outcome {
	statuses := make([]int, a.AtOnce)
	var group sync.WaitGroup
	for i := range statuses {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			statuses[i], _, _ = called(ctx, s, a)
		}(i)
	}
	group.Wait()
	return outcome{"statuses": statuses}
}

// The context of one call: a usual one, one whose deadline is near, or one that is cancelled soon.
func contextOf(a ask) (context.Context, context.CancelFunc) {
	switch a.Context {
	case "deadline":
		return context.WithTimeout(context.Background(), 50*time.Millisecond)
	case "cancelled":
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, cancel)
		return ctx, cancel
	}
	return context.WithCancel(context.Background())
}

func main() {
	lines, outcomes := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var a ask
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			panic(err)
		}
		ctx, cancel := contextOf(a)
		answer := answered
		if a.AtOnce > 0 {
			answer = manyAnswered
		}
		if err := outcomes.Encode(answer(ctx, made(a), a)); err != nil {
			panic(err)
		}
		cancel()
	}
}
